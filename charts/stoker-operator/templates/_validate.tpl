{{/* What the schema cannot tell: values that do not go together, and what is not there yet. */}}
{{- define "stoker-operator.validate" -}}
{{- $later := "comes with a later version of Stoker and cannot be switched on yet" }}
{{- if .Values.webhook.enabled }}
{{- fail (printf "webhook.enabled: the injection of agents %s; set it to false" $later) }}
{{- end }}
{{- if .Values.certManager.enabled }}
{{- fail (printf "certManager.enabled: it serves the injection of agents, which %s; set it to false" $later) }}
{{- end }}
{{- if or .Values.agentImage.repository .Values.agentImage.tag }}
{{- fail (printf "agentImage: it serves the injection of agents, which %s; leave it empty" $later) }}
{{- end }}
{{- $longest := printf "%s-webhook-receiver" (include "stoker-operator.fullname" .) }}
{{- if and .Values.webhookReceiver.enabled (gt (len $longest) 63) }}
{{- fail (printf "fullnameOverride: the name %s has more than the 63 characters of a Service's; set a shorter one" $longest) }}
{{- end }}
{{- with .Values.webhookReceiver }}
{{- if and (not .enabled) (or .ingress.enabled .httpRoute.enabled) }}
{{- fail "webhookReceiver.enabled: an Ingress or HTTPRoute leads nowhere while the receiver is off" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- fail "webhookReceiver.ingress.hosts: name at least one host" }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- fail "webhookReceiver.httpRoute.parentRefs: name at least one Gateway" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "serviceMonitor.enabled: there is nothing to scrape while metrics.enabled is false" }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not .Values.metrics.enabled) }}
{{- fail "prometheusRule.enabled: there are no metrics to alert of while metrics.enabled is false" }}
{{- end }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add 15 (int .Values.preStopSeconds) | int) }}
{{- fail "terminationGracePeriodSeconds: it has to be 15 more than preStopSeconds at least, or webhooks that are under way are cut off" }}
{{- end }}
{{- $ports := dict "8081" "the probes" }}
{{- if .Values.webhookReceiver.enabled }}
{{- include "stoker-operator.takePort" (list $ports "webhookReceiver.port" .Values.webhookReceiver.port) }}
{{- end }}
{{- if .Values.metrics.enabled }}
{{- include "stoker-operator.takePort" (list $ports "metrics.service.port" .Values.metrics.service.port) }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.plugins.configMaps }}
{{- if hasKey $seen .name }}
{{- fail (printf "plugins.configMaps: %s is named twice" .name) }}
{{- end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- $bytes := 0 }}
{{- range $name, $text := .Values.plugins.inline }}
{{- $text = regexReplaceAll "\\s" $text "" }}
{{- /* "\0asm", as every WebAssembly file begins. */}}
{{- if not (hasPrefix "AGFzb" $text) }}
{{- fail (printf "plugins.inline.%s: this is not the base64 of a WebAssembly file; make it with `base64 -w0 FILE`" $name) }}
{{- end }}
{{- $bytes = add $bytes (div (mul (len $text) 3) 4) }}
{{- end }}
{{- /* Helm keeps them twice, as values and as an object, in base64 of base64: of a Secret's 1 MiB that leaves a third. */}}
{{- if gt (int $bytes) 340000 }}
{{- fail (printf "plugins.inline: %d bytes in all are more than the 340000 that Helm can keep; use plugins.configMaps or plugins.images" (int $bytes)) }}
{{- end }}
{{- if and .Values.plugins.images (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "plugins.images: image volumes need Kubernetes 1.33, with the feature gate ImageVolume where it is not on, and this is %s" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}

{{- define "stoker-operator.takePort" -}}
{{- $ports := index . 0 }}
{{- $value := index . 1 }}
{{- $port := index . 2 | int | toString }}
{{- with get $ports $port }}
{{- fail (printf "%s: port %s is that of %s" $value $port .) }}
{{- end }}
{{- $_ := set $ports $port $value }}
{{- end }}
