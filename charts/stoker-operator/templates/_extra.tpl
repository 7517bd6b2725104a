{{/*
What extraArgs and extraEnv mean for the objects beside the container. They replace the chart's own arguments and variables,
so ports, probes and replicas follow them.
*/}}

{{/*
The flags of extraArgs with their values. The last one counts, and a flag has one or two dashes. The value is after `=`, or
the next argument; a switch without a value is `true`.
*/}}
{{- define "stoker-operator.extraFlags" -}}
{{- $flags := dict }}
{{- $arguments := .Values.extraArgs }}
{{- range $index, $argument := $arguments }}
{{- $flag := regexFind "^--?[a-z][-a-z0-9]*" $argument }}
{{- $rest := trimPrefix $flag $argument }}
{{- $next := "-" }}
{{- if lt (add1 $index | int) (len $arguments) }}
{{- $next = index $arguments (add1 $index) }}
{{- end }}
{{- $name := trimAll "-" $flag }}
{{- if and $flag (hasPrefix "=" $rest) }}
{{- $_ := set $flags $name (trimPrefix "=" $rest) }}
{{- else if and $flag (not $rest) }}
{{- $_ := set $flags $name (ternary "true" $next (hasPrefix "-" $next)) }}
{{- end }}
{{- end }}
{{- toYaml $flags }}
{{- end }}

{{/* The value that extraArgs gives to a flag. Empty if there is none. Arguments: the root, the flag without `--`. */}}
{{- define "stoker-operator.extraArg" -}}
{{- get (include "stoker-operator.extraFlags" (index . 0) | fromYaml) (index . 1) }}
{{- end }}

{{/* The variable of extraEnv with this name, as YAML. The last one counts, and an empty one is absent. Arguments: the root, the name. */}}
{{- define "stoker-operator.extraVariable" -}}
{{- $found := dict }}
{{- range include "stoker-operator.textValues" (index . 0).Values.extraEnv | fromYamlArray }}
{{- if eq (toString .name) (index $ 1) }}
{{- $found = . }}
{{- end }}
{{- end }}
{{- if or $found.valueFrom $found.value }}
{{- toYaml $found }}
{{- end }}
{{- end }}

{{/* The port of an address or a port in extraArgs. 0 means that nothing listens. Arguments: the flag, its value. */}}
{{- define "stoker-operator.portOf" -}}
{{- $value := index . 1 }}
{{- $port := default "0" (regexFind "[0-9]+$" $value) }}
{{- if or (gt (int64 $port) 65535) (not (regexMatch "^$|^(.*:)?[0-9]+$" $value)) }}
{{- fail (printf "extraArgs: --%s has the value %q, from which the chart cannot read the port of the container" (index . 0) $value) }}
{{- end }}
{{- int64 $port }}
{{- end }}

{{/* Sets the values that extraArgs and extraEnv replace, in place. The other objects then agree with the container. */}}
{{- define "stoker-operator.applyExtraArgs" -}}
{{- $flags := include "stoker-operator.extraFlags" . | fromYaml }}
{{- $groups := dict "webhook-receiver-port" .Values.webhookReceiver "metrics-bind-address" .Values.metrics }}
{{- range $flag, $group := $groups }}
{{- if hasKey $flags $flag }}
{{- $port := include "stoker-operator.portOf" (list $flag (get $flags $flag)) | int }}
{{- $_ := set $group "enabled" (ne $port 0) }}
{{- if $port }}
{{- $_ := set (ternary $group.service $group (eq $flag "metrics-bind-address")) "port" $port }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.webhook }}
{{- if hasKey $flags "webhook-port" }}
{{- $port := include "stoker-operator.portOf" (list "webhook-port" (get $flags "webhook-port")) | int }}
{{- if $port }}
{{- $_ := set . "port" $port }}
{{- else }}
{{- $_ := set . "enabled" false }}
{{- end }}
{{- end }}
{{- end }}
{{- if hasKey $flags "leader-elect" }}
{{- $_ := set .Values.leaderElection "enabled" (has (get $flags "leader-elect") (list "1" "t" "T" "true" "TRUE" "True")) }}
{{- end }}
{{- $variable := include "stoker-operator.extraVariable" (list . "AUTO_BIND_AGENT_RBAC") | fromYaml }}
{{- if hasKey $flags "auto-bind-agent-rbac" }}
{{- $_ := set .Values.rbac.autoBindAgent "enabled" (ne (get $flags "auto-bind-agent-rbac") "false") }}
{{- else if eq (toString $variable.value) "false" }}
{{- $_ := set .Values.rbac.autoBindAgent "enabled" false }}
{{- end }}
{{- end }}

{{/* The port of the probes. */}}
{{- define "stoker-operator.probesPort" -}}
{{- $flags := include "stoker-operator.extraFlags" . | fromYaml }}
{{- $address := dig "health-probe-bind-address" ":8081" $flags }}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\])" $address }}
{{- fail (printf "extraArgs: --health-probe-bind-address=%s is an address of the pod alone, and the kubelet could not connect to the probes" $address) }}
{{- end }}
{{- $port := include "stoker-operator.portOf" (list "health-probe-bind-address" $address) }}
{{- if eq $port "0" }}
{{- fail "extraArgs: --health-probe-bind-address switches the probes off, and the kubelet would restart the pods" }}
{{- end }}
{{- $port }}
{{- end }}

{{/* Not empty if the receiver serves HTTPS. */}}
{{- define "stoker-operator.receiverTls" -}}
{{- if or .Values.webhookReceiver.tls.secretName (include "stoker-operator.extraArg" (list . "webhook-tls-cert")) (include "stoker-operator.extraVariable" (list . "WEBHOOK_TLS_CERT")) }}yes{{ end }}
{{- end }}

{{/* Not empty if the receiver may refuse the source of a pod in the cluster. */}}
{{- define "stoker-operator.restrictsSources" -}}
{{- if or .Values.webhookReceiver.allowedSources (include "stoker-operator.extraArg" (list . "webhook-allowed-sources")) (include "stoker-operator.extraVariable" (list . "WEBHOOK_ALLOWED_SOURCES")) }}yes{{ end }}
{{- end }}

{{/*
The source of the secret of webhooks, or of their token, as an environment variable without a name: `value` or
`valueFrom`. `elsewhere` means that the chart does not know it, such as a file in one of extraVolumes. Empty if webhooks
are not authenticated by it. Arguments: the root, `hmac` or `token`.
*/}}
{{- define "stoker-operator.proofSource" -}}
{{- $root := index . 0 }}
{{- $kind := index . 1 }}
{{- $variable := ternary "WEBHOOK_HMAC_SECRET" "WEBHOOK_BEARER_TOKEN" (eq $kind "hmac") }}
{{- $file := ternary "webhook-hmac-secret-file" "webhook-bearer-token-file" (eq $kind "hmac") }}
{{- $own := index $root.Values.webhookReceiver $kind }}
{{- $key := ternary "webhook-secret" "webhook-token" (eq $kind "hmac") }}
{{- $stored := "" }}
{{- $unread := false }}
{{- if eq $kind "hmac" }}
{{- $variable := include "stoker-operator.extraVariable" (list $root "WEBHOOK_SECRET_NAME") | fromYaml }}
{{- $stored = include "stoker-operator.extraArg" (list $root "webhook-secret-name") | default $variable.value }}
{{- $unread = $variable.valueFrom }}
{{- end }}
{{- $secret := dict }}
{{- if or (include "stoker-operator.extraArg" (list $root $file)) (include "stoker-operator.extraVariable" (list $root (printf "%s_FILE" $variable))) }}
{{- dict "elsewhere" true | toYaml }}
{{- else if include "stoker-operator.extraVariable" (list $root $variable) }}
{{- omit (include "stoker-operator.extraVariable" (list $root $variable) | fromYaml) "name" | toYaml }}
{{- else if $own.secretRef.name }}
{{- $secret = dict "name" $own.secretRef.name "key" $own.secretRef.key }}
{{- else if $own.secret }}
{{- $secret = dict "name" (printf "%s-webhook-auth" (include "stoker-operator.fullname" $root)) "key" $key }}
{{- else if $stored }}
{{- $parts := splitn "/" 2 $stored }}
{{- $secret = dict "name" $parts._0 "key" (default $key $parts._1) }}
{{- else if $unread }}
{{- dict "elsewhere" true | toYaml }}
{{- end }}
{{- if $secret }}
{{- dict "valueFrom" (dict "secretKeyRef" $secret) | toYaml }}
{{- end }}
{{- end }}
