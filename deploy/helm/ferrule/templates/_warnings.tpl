{{/* What is allowed, but dangerous, as whoever installs the chart is told. */}}
{{- define "ferrule.warnings" -}}
{{- if eq (include "ferrule.mode" .) "federator" }}
{{- $part := .Values.federator | default dict }}
{{- if not .Values.proxies }}
WARNING: proxies: none are named. Who connects to port {{ .Values.service.externalFederatorPort }} from any private address, which here is every pod, is believed
when he says whose certificate was shown, and so can be any backend. Name the addresses of the ingress.
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
WARNING: networkPolicy.enabled: it is off. Every pod of the cluster can call other backends in the name of this one, by port {{ .Values.service.internalFederatorPort }}.
{{- else }}
{{- if not (or .Values.proxies .Values.networkPolicy.ingress) }}
WARNING: networkPolicy.ingress: neither this nor proxies is set, so every pod reaches port {{ .Values.service.externalFederatorPort }}. Say where the ingress is.
{{- end }}
{{- if and (dig "metrics" "serviceMonitor" "enabled" .Values.metrics.serviceMonitor.enabled $part) (not .Values.networkPolicy.monitoring) }}
WARNING: networkPolicy.monitoring: it is empty, so only a Prometheus in this namespace reaches /i/metrics. Say where it is.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
