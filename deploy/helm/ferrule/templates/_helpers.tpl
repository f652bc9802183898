{{- define "ferrule.labels" -}}
chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
{{- end -}}

{{/*
Ferrule's image. wire-server's own `federator.image` names another program: in its place only an image counts that is named
with its repository and is not called `federator`.
*/}}
{{- define "ferrule.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ferrule.federatorImage" -}}
{{- $image := dig "image" dict (.Values.federator | default dict) | default dict -}}
{{- if and $image.repository (ne (base $image.repository) "federator") -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- else -}}
{{ include "ferrule.image" . }}
{{- end -}}
{{- end -}}

{{/* A mode that does not exist runs nothing, which nobody would see. */}}
{{- define "ferrule.mode" -}}
{{- if not (has .Values.mode (list "full" "federator")) -}}
{{- fail "mode: expected full or federator" -}}
{{- end -}}
{{- .Values.mode -}}
{{- end -}}

{{/*
How many seconds a pod that is to end takes requests as ever. In mode full nobody takes over before it has ended, so that a
delay would make the time without a backend longer.
*/}}
{{- define "ferrule.drainDelay" -}}
{{- if kindIs "invalid" .Values.drainDelay -}}
{{- eq .Values.mode "federator" | ternary 5 0 -}}
{{- else -}}
{{- .Values.drainDelay | int64 -}}
{{- end -}}
{{- end -}}

{{/* A value of wire-server's federator: as a part of wire-server's chart, or of its own. */}}
{{- define "ferrule.federatorValue" -}}
{{- $own := index .root.Values .key -}}
{{- $part := index (.root.Values.federator | default dict) .key -}}
{{- $part | default $own | default "" -}}
{{- end -}}

{{- define "ferrule.shared" -}}
{{- $part := dig "tls" "useSharedFederatorSecret" false (.Values.federator | default dict) -}}
{{- if or $part .Values.tls.useSharedFederatorSecret }}true{{ end -}}
{{- end -}}

{{- define "ferrule.optSettings" -}}
{{- $part := dig "config" "optSettings" dict (.Values.federator | default dict) -}}
{{- $own := dig "optSettings" dict (.Values.config | default dict) -}}
{{- mergeOverwrite (deepCopy ($own | default dict)) ($part | default dict) | toJson -}}
{{- end -}}

{{/* The backend domain: set three times, and the same each time. */}}
{{- define "ferrule.domain" -}}
{{- $v := deepCopy .Values | toJson | fromJson -}}
{{- $brig := dig "brig" "config" "optSettings" "setFederationDomain" "" $v -}}
{{- $galley := dig "galley" "config" "settings" "federationDomain" "" $v -}}
{{- $cargohold := dig "cargohold" "config" "settings" "federationDomain" "" $v -}}
{{- append (compact (list $brig $galley $cargohold)) "" | first | lower -}}
{{- end -}}

{{/* "true" where federation is on. */}}
{{- define "ferrule.federating" -}}
{{- $v := .Values -}}
{{- $said := list -}}
{{- range $component := list "brig" "galley" "cargohold" "background-worker" -}}
{{- range $switch := list "enableFederation" "enableFederator" -}}
{{- $set := dig "config" $switch "unset" (index $v $component | default dict) -}}
{{- if ne (toString $set) "unset" -}}{{- $said = append $said (toString $set) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $tag := list "federation" "federator" -}}
{{- $set := dig $tag "unset" ($v.tags | default dict) -}}
{{- if ne (toString $set) "unset" -}}{{- $said = append $said (toString $set) -}}{{- end -}}
{{- end -}}
{{- $set := dig "enabled" "unset" ($v.federator | default dict) -}}
{{- if ne (toString $set) "unset" -}}{{- $said = append $said (toString $set) -}}{{- end -}}
{{- if has "true" $said }}true{{ end -}}
{{- end -}}
