{{/* What the schema cannot check: values that contradict each other. */}}
{{- define "stoker-operator.validate" -}}
{{- if and (hasKey .Values "enabled") (eq (toString .Values.enabled) "false") }}
{{- fail "enabled: this value only has a meaning as the condition of a dependency; set `condition: NAME.enabled` there, and a boolean (not a string) here" }}
{{- end }}
{{- include "stoker-operator.validateName" . }}
{{- include "stoker-operator.validateScope" . }}
{{- include "stoker-operator.validateDefinition" . }}
{{- include "stoker-operator.validateBudget" . }}
{{- with .Values.webhookReceiver }}
{{- if and (not .enabled) .httpRoute.enabled }}
{{- fail "webhookReceiver.enabled: an HTTPRoute needs the receiver, which is switched off" }}
{{- end }}
{{- if lt (int64 .maxBodyMemory) (int64 .maxBody) }}
{{- fail "webhookReceiver.maxBodyMemory: it must be at least webhookReceiver.maxBody" }}
{{- end }}
{{- if and .enabled .ingress.enabled (not .ingress.hosts) }}
{{- fail "webhookReceiver.ingress.hosts: name at least one host" }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- fail "webhookReceiver.httpRoute.parentRefs: name at least one Gateway" }}
{{- end }}
{{- end }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add 15 (int .Values.preStopSeconds) | int) }}
{{- fail "terminationGracePeriodSeconds: it must be at least 15 more than preStopSeconds, or webhooks in flight are cut off" }}
{{- end }}
{{- $ports := dict (include "stoker-operator.probesPort" .) "the probes" }}
{{- if .Values.webhookReceiver.enabled }}
{{- include "stoker-operator.reservePort" (list $ports "webhookReceiver.port" .Values.webhookReceiver.port) }}
{{- end }}
{{- if .Values.metrics.enabled }}
{{- include "stoker-operator.reservePort" (list $ports "metrics.service.port" .Values.metrics.service.port) }}
{{- end }}
{{- if include "stoker-operator.injects" . }}
{{- include "stoker-operator.reservePort" (list $ports "webhook.port" .Values.webhook.port) }}
{{- end }}
{{- include "stoker-operator.validatePlugins" . }}
{{- end }}

{{/* The names of Services are the most restricted ones. */}}
{{- define "stoker-operator.validateName" -}}
{{- $service := printf "%s-webhook-receiver" (include "stoker-operator.fullname" .) }}
{{- if gt (len $service) 63 }}
{{- fail (printf "fullnameOverride: the name %s has more than the 63 characters of a Service's name; set a shorter one" $service) }}
{{- end }}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $service) }}
{{- fail (printf "fullnameOverride: %s is not the name of a Service, which has lower-case letters, digits and '-', and begins with a letter; set another one" $service) }}
{{- end }}
{{- end }}

{{/*
Two releases for the same namespaces would follow the same objects. The role of the agents, whose name is fixed, shows the
other one. Without a cluster, as in `helm template`, `lookup` finds nothing, and nothing is checked. It fails without the
right to read, so that a release with the scope `namespace` does not look for a ClusterRole.
*/}}
{{- define "stoker-operator.validateScope" -}}
{{- $flags := include "stoker-operator.extraFlags" . | fromYaml }}
{{- $watched := get $flags "watch-namespace" }}
{{- if and (hasKey $flags "watch-namespace") (eq .Values.rbac.scope "namespace") (ne $watched .Release.Namespace) }}
{{- fail (printf "extraArgs: with rbac.scope=namespace, the release has no rights for --watch-namespace=%s; install it in that namespace, or set rbac.scope=cluster" $watched) }}
{{- end }}
{{- $kind := include "stoker-operator.roleKind" . }}
{{- with include "stoker-operator.agentRoleOwner" . | fromYaml }}
{{- if include "stoker-operator.serves" (list . $kind) }}
{{- $serves := ternary "all namespaces" (printf "the namespace %s" $.Release.Namespace) (eq $kind "ClusterRole") }}
{{- fail (printf "rbac.scope: the release %s in the namespace %s serves %s already, and two such releases would follow the same objects; upgrade or uninstall it, or set rbac.scope=namespace and use a namespace for each" .name .namespace $serves) }}
{{- end }}
{{- end }}
{{- if eq $kind "ClusterRole" }}
{{- range dig "items" list (lookup "rbac.authorization.k8s.io/v1" "Role" "" "" | default dict) }}
{{- if eq .metadata.name "stoker-agent" }}
{{- with include "stoker-operator.otherOwner" (list $ .) | fromYaml }}
{{- if include "stoker-operator.serves" (list . "Role") }}
{{- fail (printf "rbac.scope: the release %s serves the namespace %s already, and a release for all namespaces would follow the same objects; uninstall it, or set rbac.scope=namespace" .name .namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A definition that is being deleted takes all objects with it, as soon as none has a finalizer: those of the new release too,
whose Stoker removes the finalizers. Only a release that installs the definition looks for it, as Helm then reads it anyway;
others may lack the right.
*/}}
{{- define "stoker-operator.validateDefinition" -}}
{{- if .Values.crds.install }}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "gatewaysyncs.stoker.io" | default dict }}
{{- if dig "metadata" "deletionTimestamp" "" $crd }}
{{- fail "crds.install: the definition gatewaysyncs.stoker.io is being deleted, and all GatewaySync objects with it; remove the finalizer of each object (kubectl get gatewaysyncs -A), wait until the definition is gone, and try again" }}
{{- end }}
{{- end }}
{{- end }}

{{/* A budget that never lets a pod go blocks the drain of its node forever. Kubernetes rounds percentages up. */}}
{{- define "stoker-operator.validateBudget" -}}
{{- $known := include "stoker-operator.replicas" . }}
{{- /* Of a number that an autoscaler sets, only a percentage of 100 is too much in any case. */}}
{{- $replicas := default "100" $known | int }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (gt $replicas 1) }}
{{- $stay := toString .minAvailable }}
{{- $number := trimSuffix "%" $stay | int }}
{{- if hasSuffix "%" $stay }}
{{- $number = div (add 99 (mul $number $replicas)) 100 | int }}
{{- end }}
{{- if and .minAvailable (ge $number $replicas) }}
{{- $all := ternary "the" $known (empty $known) }}
{{- fail (printf "podDisruptionBudget.minAvailable: %s of %s replicas would never let a node be drained; set a smaller one, or podDisruptionBudget.enabled=false" $stay $all) }}
{{- end }}
{{- if and (not .minAvailable) (has (toString .maxUnavailable) (list "0" "0%")) }}
{{- fail "podDisruptionBudget.maxUnavailable: 0 would never let a node be drained; set at least 1" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stoker-operator.validatePlugins" -}}
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
{{- /* "\0asm", the first bytes of each WebAssembly file. */}}
{{- if not (hasPrefix "AGFzb" $text) }}
{{- fail (printf "plugins.inline.%s: this is not the base64 of a WebAssembly file; make it with `base64 -w0 FILE`" $name) }}
{{- end }}
{{- $bytes = add $bytes (div (mul (len $text) 3) 4) }}
{{- end }}
{{- /* Helm stores them twice, as values and as an object, in base64 of base64. A third of the Secret's 1 MiB remains. */}}
{{- if gt (int $bytes) 340000 }}
{{- fail (printf "plugins.inline: %d bytes in all are more than the 340000 that Helm can keep; use plugins.configMaps or plugins.images" (int $bytes)) }}
{{- end }}
{{- if and .Values.plugins.images (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "plugins.images: image volumes need Kubernetes 1.33 with the feature gate ImageVolume, and this is %s" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}

{{/* Fails if a port is in use. Arguments: the ports in use with their users, the value's name, its port. */}}
{{- define "stoker-operator.reservePort" -}}
{{- $ports := index . 0 }}
{{- $value := index . 1 }}
{{- $port := index . 2 | int | toString }}
{{- with get $ports $port }}
{{- fail (printf "%s: port %s is that of %s" $value $port .) }}
{{- end }}
{{- $_ := set $ports $port $value }}
{{- end }}
