{{/*
Completes and converts the values in place. Each template includes this first.

Helm removes the default of a value that is null. `--reuse-values` removes all defaults that the chart of the last
release did not have. `--set-string` and `--set` pass strings, numbers and booleans of any type. After this, each value
exists and has the type of its default. Flags of extraArgs have replaced the values of the same meaning.
*/}}
{{- define "stoker-operator.completeValues" -}}
{{- include "stoker-operator.complete" (list .Values (.Files.Get "files/defaults.yaml" | fromYaml)) }}
{{- include "stoker-operator.applyExtraArgs" . }}
{{- end }}

{{/* Arguments: the values, their defaults. */}}
{{- define "stoker-operator.complete" -}}
{{- $values := index . 0 }}
{{- /* Null removes these, because Kubernetes has defaults for them. */}}
{{- $optional := list "resources" "podSecurityContext" "securityContext" "topologySpreadConstraints" }}
{{- range $key, $default := index . 1 }}
{{- $value := index $values $key }}
{{- if has $key $optional }}
{{- if kindIs "invalid" $value }}
{{- $_ := set $values $key (ternary list dict (kindIs "slice" $default)) }}
{{- end }}
{{- /* Null leaves the number to an autoscaler. */}}
{{- else if and (eq $key "replicaCount") (kindIs "invalid" $value) }}
{{- else if kindIs "map" $default }}
{{- if kindIs "invalid" $value }}
{{- $value = dict }}
{{- $_ := set $values $key $value }}
{{- end }}
{{- include "stoker-operator.complete" (list $value $default) }}
{{- if not $default }}
{{- include "stoker-operator.removeNull" $value }}
{{- end }}
{{- else if kindIs "invalid" $value }}
{{- $_ := set $values $key $default }}
{{- else if and (kindIs "bool" $default) (kindIs "string" $value) }}
{{- $_ := set $values $key (eq $value "true") }}
{{- else if and (kindIs "float64" $default) (regexMatch "^[0-9]+$" (include "stoker-operator.text" $value)) }}
{{- $_ := set $values $key (include "stoker-operator.text" $value | int64) }}
{{- else if kindIs "string" $default }}
{{- $_ := set $values $key (include "stoker-operator.text" $value) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Removes the keys of a map that are null, in place. */}}
{{- define "stoker-operator.removeNull" -}}
{{- range $key, $value := . }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $ $key }}
{{- end }}
{{- end }}
{{- end }}

{{/* A string, number or boolean as text. Helm reads numbers of files as floating-point numbers; this prints no exponent. */}}
{{- define "stoker-operator.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}
{{- printf "%.0f" . }}
{{- else }}
{{- toString . }}
{{- end }}
{{- end }}

{{/* A map of strings, such as labels, as YAML. Numbers and booleans become strings. */}}
{{- define "stoker-operator.stringMap" -}}
{{- $map := dict }}
{{- range $key, $value := . }}
{{- $_ := set $map $key (include "stoker-operator.text" $value) }}
{{- end }}
{{- toYaml $map }}
{{- end }}

{{/* A list of environment variables or tolerations, as YAML. Numbers and booleans in `value` become strings. */}}
{{- define "stoker-operator.textValues" -}}
{{- $items := list }}
{{- range . }}
{{- $item := deepCopy . }}
{{- if not (kindIs "invalid" .value) }}
{{- $_ := set $item "value" (include "stoker-operator.text" .value) }}
{{- end }}
{{- $items = append $items $item }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{/* A map without the keys that are null, at any depth, as YAML. */}}
{{- define "stoker-operator.withoutNull" -}}
{{- $map := dict }}
{{- range $key, $value := . }}
{{- if kindIs "map" $value }}
{{- $_ := set $map $key (include "stoker-operator.withoutNull" $value | fromYaml) }}
{{- else if not (kindIs "invalid" $value) }}
{{- $_ := set $map $key $value }}
{{- end }}
{{- end }}
{{- toYaml $map }}
{{- end }}
