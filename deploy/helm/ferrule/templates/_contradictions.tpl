{{/*
What cannot stand together in the values, all of it, in the words of `ferrule config import-helm`, which also reads
certificates: that is more than a chart can. Rendering ends here where there is something.
*/}}
{{- define "ferrule.contradictions" -}}
{{- $v := deepCopy .Values | toJson | fromJson -}}
{{- $full := eq .Values.mode "full" -}}
{{- $problems := list -}}

{{- /* The backend domain, which stands three times. */ -}}
{{- $paths := list "brig.config.optSettings.setFederationDomain" "galley.config.settings.federationDomain" "cargohold.config.settings.federationDomain" -}}
{{- $domains := list (dig "brig" "config" "optSettings" "setFederationDomain" "" $v) (dig "galley" "config" "settings" "federationDomain" "" $v) (dig "cargohold" "config" "settings" "federationDomain" "" $v) -}}
{{- $different := list -}}
{{- $said := list -}}
{{- range $index, $path := $paths -}}
{{- with index $domains $index -}}
{{- $different = append $different (lower .) -}}
{{- $said = append $said (printf "%s is %s" $path .) -}}
{{- end -}}
{{- end -}}
{{- if and $full (not $different) -}}
{{- $problems = append $problems (printf "%s: none of them is set, so the backend has no domain" (join ", " $paths)) -}}
{{- else if gt (len (uniq $different)) 1 -}}
{{- $problems = append $problems (printf "%s: the backend domain differs. It is part of every user's identity: set all to the one that users have already" (join ", " $said)) -}}
{{- end -}}

{{- $zauth := dig "brig" "secrets" "zAuth" dict $v -}}
{{- if and $full (not (and $zauth.privateKeys $zauth.publicKeys)) -}}
{{- $problems = append $problems "brig.secrets.zAuth.privateKeys, brig.secrets.zAuth.publicKeys: the keys of access tokens are missing, as wire-server has them" -}}
{{- end -}}

{{- /* The switches. */ -}}
{{- $on := list -}}
{{- $off := list -}}
{{- range $component := list "brig" "galley" "cargohold" "background-worker" -}}
{{- range $switch := list "enableFederation" "enableFederator" -}}
{{- $set := toString (dig $component "config" $switch "unset" $v) -}}
{{- $path := printf "%s.config.%s" $component $switch -}}
{{- if eq $set "true" -}}{{- $on = append $on $path -}}{{- else if eq $set "false" -}}{{- $off = append $off $path -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $tag := list "federation" "federator" -}}
{{- $set := toString (dig "tags" $tag "unset" $v) -}}
{{- $path := printf "tags.%s" $tag -}}
{{- if eq $set "true" -}}{{- $on = append $on $path -}}{{- else if eq $set "false" -}}{{- $off = append $off $path -}}{{- end -}}
{{- end -}}
{{- $set := toString (dig "federator" "enabled" "unset" $v) -}}
{{- if eq $set "true" -}}{{- $on = append $on "federator.enabled" -}}{{- else if eq $set "false" -}}{{- $off = append $off "federator.enabled" -}}{{- end -}}
{{- if and $on $off -}}
{{- $problems = append $problems (printf "%s: federation is on in one place and off in another (%s). Ferrule federates as a whole: set all of them to the same" (join ", " $off) (join ", " $on)) -}}
{{- end -}}

{{- /* The ingress is another chart's in mode federator. */ -}}
{{- if and $full $on -}}
{{- if eq (toString (dig "config" "isAdditionalIngress" false $v)) "true" -}}
{{- $problems = append $problems "config.isAdditionalIngress, federator.enabled: these values are of an additional ingress, and multi-ingress and federation cannot be configured together; take the values of the main ingress" -}}
{{- end -}}
{{- if eq (toString (dig "tls" "enabled" true $v)) "false" -}}
{{- $problems = append $problems "tls.enabled, federator.enabled: federation needs TLS; switch it on, or switch federation off" -}}
{{- end -}}
{{- if not (dig "config" "dns" "federator" "" $v) -}}
{{- $problems = append $problems "config.dns.federator: federation is on, but the infrastructure domain is missing: the target of the SRV record" -}}
{{- end -}}

{{- /* The certificate that is shown to other backends. */ -}}
{{- $managed := eq (toString (dig "tls" "useCertManager" false $v)) "true" -}}
{{- $certificate := dig "secrets" "tlsWildcardCert" "" $v -}}
{{- $key := dig "secrets" "tlsWildcardKey" "" $v -}}
{{- if and $managed (or $certificate $key) -}}
{{- $problems = append $problems "tls.useCertManager, secrets.tlsWildcardCert, secrets.tlsWildcardKey: certificates are either managed or pasted, and wire-server passes over pasted ones that are managed as well; remove those, or set tls.useCertManager to false" -}}
{{- else if $managed -}}
{{- range $path := list "federator.tls.issuer.name" "tls.issuer.name" -}}
{{- $issuer := ternary (dig "federator" "tls" "issuer" "name" "" $v) (dig "tls" "issuer" "name" "" $v) (hasPrefix "federator" $path) -}}
{{- if and $issuer (ne $issuer "letsencrypt-http01") -}}
{{- $problems = append $problems (printf "%s, tls.useCertManager: cert-manager asks an issuer of the cluster's own, which Ferrule cannot; take certificate and key from the secret federator-certificate-secret, paste them as secrets.tlsWildcardCert and secrets.tlsWildcardKey, and set tls.useCertManager to false" $path) -}}
{{- end -}}
{{- end -}}
{{- if not (dig "certManager" "certmasterEmail" "" $v) -}}
{{- $problems = append $problems "certManager.certmasterEmail, tls.useCertManager: certificates are to come from Let's Encrypt, which wants an e-mail address to write to" -}}
{{- end -}}
{{- else if not (or $certificate $key) -}}
{{- $problems = append $problems "secrets.tlsWildcardCert, secrets.tlsWildcardKey: federation is on, but there is no server certificate; paste certificate and key, or set tls.useCertManager to true" -}}
{{- else if not $key -}}
{{- $problems = append $problems "secrets.tlsWildcardKey: the key of secrets.tlsWildcardCert is missing" -}}
{{- else if not $certificate -}}
{{- $problems = append $problems "secrets.tlsWildcardCert: the certificate of secrets.tlsWildcardKey is missing" -}}
{{- else if not (contains "-----BEGIN CERTIFICATE-----" $certificate) -}}
{{- $problems = append $problems "secrets.tlsWildcardCert: there is no certificate in it (\"BEGIN CERTIFICATE\")" -}}
{{- end -}}

{{- end -}}

{{- if or $on (not $full) -}}
{{- /* The one for calls to others. */ -}}
{{- $shared := include "ferrule.shared" . -}}
{{- $certificate := include "ferrule.federatorValue" (dict "root" . "key" "clientCertificateContents") -}}
{{- $key := include "ferrule.federatorValue" (dict "root" . "key" "clientPrivateKeyContents") -}}
{{- if and $shared (or $certificate $key) -}}
{{- $problems = append $problems "federator.tls.useSharedFederatorSecret, federator.clientCertificateContents, federator.clientPrivateKeyContents: the client certificate is either shared with the ingress or pasted, and wire-server passes over one that is pasted as well; remove that, or set useSharedFederatorSecret to false" -}}
{{- else if not (or $shared $certificate $key) -}}
{{- $problems = append $problems "federator.clientCertificateContents, federator.clientPrivateKeyContents, federator.tls.useSharedFederatorSecret: federation is on, but there is no certificate for calls to others; paste certificate and key, or set useSharedFederatorSecret to true" -}}
{{- else if and (not $shared) (not $key) -}}
{{- $problems = append $problems "federator.clientPrivateKeyContents: the key of federator.clientCertificateContents is missing" -}}
{{- else if and (not $shared) (not $certificate) -}}
{{- $problems = append $problems "federator.clientCertificateContents: the certificate of federator.clientPrivateKeyContents is missing" -}}
{{- end -}}

{{- /* Whom to trust. */ -}}
{{- $settings := include "ferrule.optSettings" . | fromJson -}}
{{- $inward := dig "secrets" "tlsClientCA" "" $v -}}
{{- $outward := include "ferrule.federatorValue" (dict "root" . "key" "remoteCAContents") -}}
{{- if and $full (not (or $inward $outward (eq (toString $settings.useSystemCAStore) "true"))) -}}
{{- $problems = append $problems "secrets.tlsClientCA, federator.remoteCAContents: federation is on, but no CA is trusted, so no other backend could be; paste the CA certificates of those you federate with" -}}
{{- end -}}
{{- range $path, $text := dict "secrets.tlsClientCA" $inward "federator.remoteCAContents" $outward -}}
{{- if and $text (not (contains "-----BEGIN CERTIFICATE-----" $text)) -}}
{{- $problems = append $problems (printf "%s: there is no certificate in this CA store (\"BEGIN CERTIFICATE\")" $path) -}}
{{- end -}}
{{- end -}}
{{- $depth := dig "tls" "verify_depth" "unset" $v -}}
{{- if and $full (ne (toString $depth) "unset") -}}
{{- if not (has (toString $depth) (list "1" "2" "3" "4" "5" "6")) -}}
{{- $problems = append $problems "tls.verify_depth: expected a whole number from 1 to 6" -}}
{{- end -}}
{{- end -}}

{{- /* Who may federate, by the older option and by the newer one. */ -}}
{{- $older := $settings.federationStrategy | default dict -}}
{{- $everybody := and (hasKey $older "allowAll") (ne (toString $older.allowAll) "false") -}}
{{- $listed := $older.allowedDomains | default list -}}
{{- if and $everybody $listed -}}
{{- $problems = append $problems "federationStrategy.allowAll, federationStrategy.allowedDomains: the one allows everybody and the other only those it lists; remove one of them" -}}
{{- end -}}
{{- $meaning := "" -}}
{{- if $everybody -}}{{- $meaning = "allowAll" -}}{{- else if $listed -}}{{- $meaning = "allowDynamic" -}}{{- else if hasKey $older "allowedDomains" -}}{{- $meaning = "allowNone" -}}{{- end -}}
{{- $newer := dig "brig" "config" "optSettings" "setFederationStrategy" "" $v -}}
{{- if and $newer (not (has $newer (list "allowNone" "allowAll" "allowDynamic"))) -}}
{{- $problems = append $problems "brig.config.optSettings.setFederationStrategy: expected allowNone, allowAll or allowDynamic" -}}
{{- else if and $newer $meaning (ne $newer $meaning) -}}
{{- $problems = append $problems "federationStrategy, brig.config.optSettings.setFederationStrategy: the older and the newer option for who may federate say different things. Today's wire-server heeds the newer one alone: remove federationStrategy, or make them agree" -}}
{{- end -}}
{{- $configured := list -}}
{{- range (dig "brig" "config" "optSettings" "setFederationDomainConfigs" list $v) -}}{{- $configured = append $configured (lower .domain) -}}{{- end -}}
{{- $allowed := list -}}
{{- range $listed -}}{{- $allowed = append $allowed (lower .) -}}{{- end -}}
{{- if and $configured $allowed (ne (join " " (sortAlpha $configured)) (join " " (sortAlpha $allowed))) -}}
{{- $problems = append $problems "federationStrategy.allowedDomains, brig.config.optSettings.setFederationDomainConfigs: they list different domains; today's wire-server heeds the second alone" -}}
{{- end -}}
{{- end -}}

{{- /* How calls to others are made. */ -}}
{{- if or $on (not $full) -}}
{{- $settings := include "ferrule.optSettings" . | fromJson -}}
{{- range $name, $most := dict "tcpConnectionTimeout" 86400000000 "dnsPort" 65535 -}}
{{- $set := index $settings $name -}}
{{- if not (kindIs "invalid" $set) -}}
{{- $number := toString $set -}}
{{- if not (kindIs "string" $set) -}}{{- $number = printf "%.0f" (float64 $set) -}}{{- end -}}
{{- if not (and (regexMatch "^[0-9]{1,11}$" $number) (ge (int64 $number) 1) (le (int64 $number) (int64 $most))) -}}
{{- $problems = append $problems (printf "federator.config.optSettings.%s: expected a whole number from 1 to %d" $name (int64 $most)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $settings.dnsHost -}}
{{- if not (regexMatch "^(([0-9]{1,3}\\.){3}[0-9]{1,3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$" (toString .)) -}}
{{- $problems = append $problems "federator.config.optSettings.dnsHost: this is no IP address" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $level := dig "brig" "config" "logLevel" "" $v -}}
{{- if and $full $level (not (has $level (list "Trace" "Debug" "Info" "Warn" "Error" "Fatal"))) -}}
{{- $problems = append $problems "brig.config.logLevel: expected Trace, Debug, Info, Warn, Error or Fatal" -}}
{{- end -}}

{{- if $problems -}}
{{- fail (printf "there is something to be settled in the values:\n%s" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}
