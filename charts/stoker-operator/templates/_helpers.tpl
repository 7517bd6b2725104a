{{- define "stoker-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "stoker-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "stoker-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "stoker-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
control-plane: controller-manager
{{- end }}

{{/* Labels of objects that no selector of the chart may match. */}}
{{- define "stoker-operator.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "stoker-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels of all other objects. */}}
{{- define "stoker-operator.labels" -}}
{{ include "stoker-operator.commonLabels" . }}
control-plane: controller-manager
{{- end }}

{{/* The annotations of objects that outlive the release. */}}
{{- define "stoker-operator.keep" -}}
helm.sh/resource-policy: keep
# Argo CD understands the policy of Helm when an Application is deleted, but not when it prunes.
argocd.argoproj.io/sync-options: Prune=false
{{- end }}

{{/* The labels of an object and those of a value, which win. Arguments: the root, the value. */}}
{{- define "stoker-operator.labelsWith" -}}
{{- $labels := include "stoker-operator.labels" (index . 0) | fromYaml }}
{{- include "stoker-operator.stringMap" (mergeOverwrite $labels (index . 1)) }}
{{- end }}

{{/* The labels of the pods. The labels that the selectors match win over podLabels. */}}
{{- define "stoker-operator.podLabels" -}}
{{- $selector := include "stoker-operator.selectorLabels" . | fromYaml }}
{{- include "stoker-operator.labelsWith" (list . (mergeOverwrite (deepCopy .Values.podLabels) $selector)) }}
{{- end }}

{{- define "stoker-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (printf "%s-controller-manager" (include "stoker-operator.fullname" .)) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: set it to the name of an existing ServiceAccount, as serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
The security context of the pods. OpenShift chooses the ids itself and refuses others, so the default ids are left out
there. Null is not enough: some versions of Helm ignore it in the values of a parent chart.
*/}}
{{- define "stoker-operator.podSecurityContext" -}}
{{- $context := include "stoker-operator.withoutNull" .Values.podSecurityContext | fromYaml }}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- range list "runAsUser" "runAsGroup" "fsGroup" }}
{{- if eq (index $context . | toString) "65532" }}
{{- $_ := unset $context . }}
{{- end }}
{{- end }}
{{- end }}
{{- if $context }}
{{- toYaml $context }}
{{- end }}
{{- end }}

{{- define "stoker-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The image of the agents that are injected. */}}
{{- define "stoker-operator.agentImage" -}}
{{- $defaults := $.Files.Get "files/defaults.yaml" | fromYaml }}
{{- with .Values.agentImage }}
{{- printf "%s:%s" (default $defaults.agentImage.repository .repository) (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}

{{/* Not empty if agents are injected. The configuration of the webhook belongs to the cluster. */}}
{{- define "stoker-operator.injects" -}}
{{- if and .Values.webhook.enabled (eq .Values.rbac.scope "cluster") }}yes{{ end }}
{{- end }}

{{/* The labels of the pods that are reviewed: those of the value, and not those of the chart's own pods. */}}
{{- define "stoker-operator.injectionPods" -}}
{{- $selector := deepCopy .Values.webhook.objectSelector }}
{{- $own := dict "key" "control-plane" "operator" "NotIn" "values" (list "controller-manager") }}
{{- $_ := append ($selector.matchExpressions | default list) $own | set $selector "matchExpressions" }}
{{- toYaml $selector }}
{{- end }}

{{/* The DNS names by which the API server knows the admission webhook, as a list. */}}
{{- define "stoker-operator.injectionNames" -}}
{{- $name := printf "%s-webhook-service.%s.svc" (include "stoker-operator.fullname" .) .Release.Namespace }}
{{- list $name (printf "%s.cluster.local" $name) | toYaml }}
{{- end }}

{{/* The IP families of a Service, as its value sets them. Empty means the cluster's default. */}}
{{- define "stoker-operator.ipFamilies" -}}
{{- $fields := dict }}
{{- range $field := list "ipFamilyPolicy" "ipFamilies" }}
{{- with index $ $field }}
{{- $_ := set $fields $field . }}
{{- end }}
{{- end }}
{{- if $fields }}
{{- toYaml $fields }}
{{- end }}
{{- end }}

{{/* The kind of the objects that grant rights: Role if only the release's namespace is served. */}}
{{- define "stoker-operator.roleKind" -}}
{{- ternary "Role" "ClusterRole" (eq .Values.rbac.scope "namespace") }}
{{- end }}

{{/*
The namespaces with the Secrets that objects name, as a list. Empty if these are all namespaces that are served. The
release's namespace has the secrets of the receiver.
*/}}
{{- define "stoker-operator.secretNamespaces" -}}
{{- if and .Values.rbac.secretNamespaces (eq .Values.rbac.scope "cluster") }}
{{- append .Values.rbac.secretNamespaces .Release.Namespace | uniq | toYaml }}
{{- end }}
{{- end }}

{{/* The rights to Secrets. */}}
{{- define "stoker-operator.secretRules" -}}
# Not list or watch: Stoker reads only Secrets that an object names, and writes only those with the token of a GitHub App.
# The chart does not know the names.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
{{- end }}

{{/*
The Secrets of the senders, as the sources of a projected volume. Empty if webhooks are not authenticated.
A Secret that is named wins over an inline secret.
*/}}
{{- define "stoker-operator.webhookSecrets" -}}
{{- $inline := printf "%s-webhook-auth" (include "stoker-operator.fullname" .) }}
{{- if .Values.webhookReceiver.enabled }}
{{- range $kind, $file := dict "hmac" "webhook-secret" "token" "webhook-token" }}
{{- with index $.Values.webhookReceiver $kind }}
{{- if .secretRef.name }}
- secret:
    name: {{ .secretRef.name | quote }}
    items:
      - key: {{ .secretRef.key | quote }}
        path: {{ $file }}
- secret:
    name: {{ .secretRef.name | quote }}
    # The key exists only while the secret is rotated.
    optional: true
    items:
      - key: {{ printf "%s-previous" .secretRef.key | quote }}
        path: {{ $file }}-previous
{{- else if .secret }}
- secret:
    name: {{ $inline }}
    items:
      - key: {{ $file }}
        path: {{ $file }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The environment variables that name the files of these sources. */}}
{{- define "stoker-operator.webhookSecretFiles" -}}
{{- $lines := list }}
{{- range $file, $variable := dict "webhook-secret" "WEBHOOK_HMAC_SECRET_FILE" "webhook-token" "WEBHOOK_BEARER_TOKEN_FILE" }}
{{- if contains (printf "path: %s" $file) $ }}
{{- $lines = append $lines (dict "name" $variable "value" (printf "/etc/stoker/webhook-auth/%s" $file)) }}
{{- end }}
{{- end }}
{{- toYaml $lines }}
{{- end }}

{{/* The environment of the container. A variable of extraEnv replaces the chart's variable of the same name. */}}
{{- define "stoker-operator.environment" -}}
{{- $own := list }}
{{- range $variable, $field := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" }}
{{- $own = append $own (dict "name" $variable "valueFrom" (dict "fieldRef" (dict "fieldPath" $field))) }}
{{- end }}
{{- if include "stoker-operator.injects" . }}
{{- $own = append $own (dict "name" "DEFAULT_AGENT_IMAGE" "value" (include "stoker-operator.agentImage" .)) }}
{{- end }}
{{- with include "stoker-operator.webhookSecrets" . }}
{{- $own = include "stoker-operator.webhookSecretFiles" . | fromYamlArray | concat $own }}
{{- end }}
{{- $extra := include "stoker-operator.textValues" .Values.extraEnv | fromYamlArray }}
{{- $replaced := list }}
{{- range $extra }}
{{- $replaced = append $replaced .name }}
{{- /* A secret has one source. */}}
{{- if has .name (list "WEBHOOK_HMAC_SECRET" "WEBHOOK_BEARER_TOKEN") }}
{{- $replaced = append $replaced (printf "%s_FILE" .name) }}
{{- end }}
{{- end }}
{{- $kept := list }}
{{- range $own }}
{{- if not (has .name $replaced) }}
{{- $kept = append $kept . }}
{{- end }}
{{- end }}
{{- concat $kept $extra | toYaml }}
{{- end }}

{{/* The settings file: `plugins.settings`, and `enabled: false` for each name in `plugins.disable`. */}}
{{- define "stoker-operator.pluginSettings" -}}
{{- $settings := include "stoker-operator.withoutNull" .Values.plugins.settings | fromYaml }}
{{- range .Values.plugins.disable }}
{{- $settings = mergeOverwrite $settings (dict "plugins" (dict . (dict "enabled" false))) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/*
The number of replicas. Without leader election, only one may be the controller. Empty if an autoscaler sets the number.
*/}}
{{- define "stoker-operator.replicas" -}}
{{- $isSet := not (kindIs "invalid" .Values.replicaCount) }}
{{- if not .Values.leaderElection.enabled }}
{{- /* Not `default`, to which 0 is empty. */}}
{{- ternary .Values.replicaCount 1 $isSet | int | min 1 }}
{{- else if $isSet }}
{{- int .Values.replicaCount }}
{{- end }}
{{- end }}

{{/* The affinity of the values, with a preference for nodes without another replica. */}}
{{- define "stoker-operator.affinity" -}}
{{- $labels := include "stoker-operator.selectorLabels" . | fromYaml }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) }}
{{- $preference := list (dict "weight" 100 "podAffinityTerm" $term) }}
{{- $apart := dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preference) }}
{{- $affinity := .Values.affinity }}
{{- if or (hasKey $affinity "podAntiAffinity") (hasKey $affinity "podAffinity") }}
{{- toYaml $affinity }}
{{- else }}
{{- merge (deepCopy $affinity) $apart | toYaml }}
{{- end }}
{{- end }}
