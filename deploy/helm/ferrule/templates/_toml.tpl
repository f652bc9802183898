{{/* The configuration of mode full: what `ferrule config import-helm` makes of the same values. */}}
{{- define "ferrule.toml" -}}
{{- $domain := include "ferrule.domain" . }}
{{- $federating := include "ferrule.federating" . }}
{{- $settings := include "ferrule.optSettings" . | fromJson }}
{{- $older := $settings.federationStrategy | default dict }}
{{- $everybody := and (hasKey $older "allowAll") (ne (toString $older.allowAll) "false") }}
{{- $brig := dig "config" "optSettings" dict (.Values.brig | default dict) }}
{{- $secrets := .Values.secrets | default dict }}
{{- $dns := dig "dns" dict (.Values.config | default dict) }}
{{- $zauth := dig "secrets" "zAuth" dict (.Values.brig | default dict) }}
{{- $shared := include "ferrule.shared" . }}
{{- $ca := include "ferrule.federatorValue" (dict "root" . "key" "remoteCAContents") }}
{{- $certificate := include "ferrule.federatorValue" (dict "root" . "key" "clientCertificateContents") }}
{{- $key := include "ferrule.federatorValue" (dict "root" . "key" "clientPrivateKeyContents") }}
{{- $managed := and $federating (eq (toString (dig "useCertManager" false .Values.tls)) "true") }}
{{- $manager := .Values.certManager | default dict }}
{{- $origins := list }}
{{- range $name := list "webapp" "teamSettings" "accountPages" }}
{{- with index $dns $name }}{{ $origins = append $origins (printf "https://%s" .) }}{{ end }}
{{- end }}
{{- $strategy := $brig.setFederationStrategy | default (ternary "allowAll" (ternary "allowDynamic" "allowNone" (not (empty $older.allowedDomains))) $everybody) }}
domain = {{ $domain | toJson }}
data = "/var/lib/ferrule"
drain_delay = {{ include "ferrule.drainDelay" . }}

[edge]
listen = "0.0.0.0:8080"
proxies = 1
allowed_origins = {{ $origins | toJson }}

[internal]
listen = "unix"

[log]
format = "json"
{{- with dig "config" "logLevel" "" (.Values.brig | default dict) }}
level = {{ ternary "error" (lower .) (eq . "Fatal") | toJson }}
{{- end }}
{{- if $managed }}

# cert-manager agreed to the terms of service of Let's Encrypt for these values.
[acme]
agree_terms = true
email = {{ $manager.certmasterEmail | toJson }}
staging = {{ eq (toString $manager.inTestMode) "true" }}
http_listen = "0.0.0.0:8085"
{{- end }}
{{- if $federating }}

[federation]
infra = {{ $dns.federator | trimSuffix "." | toJson }}
listen = "0.0.0.0:8443"
{{- if not $managed }}
certificate = "/etc/ferrule/federation.pem"
key = "/etc/ferrule/federation-key.pem"
{{- end }}
{{- if not $shared }}
client_certificate = "/etc/ferrule/federation-client.pem"
client_key = "/etc/ferrule/federation-client-key.pem"
{{- end }}
{{- $stores := list }}
{{- if $secrets.tlsClientCA }}{{ $stores = append $stores "/etc/ferrule/tls-client-ca.pem" }}{{ end }}
{{- if $ca }}{{ $stores = append $stores "/etc/ferrule/remote-ca.pem" }}{{ end }}
ca = {{ $stores | toJson }}
{{- with $settings.useSystemCAStore }}
system_ca = {{ . }}
{{- end }}
{{- if hasKey .Values.tls "verify_depth" }}
verify_depth = {{ .Values.tls.verify_depth | int64 }}
{{- end }}
{{- with $settings.dnsHost }}
dns = {{ printf (ternary "[%s]:%d" "%s:%d" (contains ":" .)) . ($settings.dnsPort | default 53 | int) | toJson }}
{{- end }}
strategy = {{ $strategy | toJson }}
{{- with $settings.tcpConnectionTimeout }}

[federation.limits]
connect = {{ div (add (int64 .) 999) 1000 }}
{{- end }}
{{- range $remote := $brig.setFederationDomainConfigs }}

[[federation.remotes]]
domain = {{ $remote.domain | toJson }}
search_policy = {{ $remote.search_policy | default "exact_handle_search" | toJson }}
{{- else }}
{{- range $allowed := $older.allowedDomains }}

[[federation.remotes]]
domain = {{ $allowed | toJson }}
search_policy = "exact_handle_search"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
