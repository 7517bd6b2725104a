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

{{/* Labels of objects that a selector must not find, and of all others together with the selector's. */}}
{{- define "stoker-operator.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "stoker-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "stoker-operator.labels" -}}
{{ include "stoker-operator.commonLabels" . }}
control-plane: controller-manager
{{- end }}

{{- define "stoker-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (printf "%s-controller-manager" (include "stoker-operator.fullname" .)) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: with serviceAccount.create=false, name the ServiceAccount that is there" .Values.serviceAccount.name }}
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

{{/* Kind of what grants rights: a Role where only the release's namespace is served. */}}
{{- define "stoker-operator.roleKind" -}}
{{- ternary "Role" "ClusterRole" (eq .Values.rbac.scope "namespace") }}
{{- end }}

{{/*
The Secrets of the senders, as the sources of a projected volume. Empty where webhooks are not authenticated.
A Secret that is named wins over one that is given inline.
*/}}
{{- define "stoker-operator.webhookSecrets" -}}
{{- $inline := printf "%s-webhook-auth" (include "stoker-operator.fullname" .) }}
{{- if .Values.webhookReceiver.enabled }}
{{- range $kind, $file := dict "hmac" "webhook-secret" "token" "webhook-token" }}
{{- with index $.Values.webhookReceiver $kind }}
{{- if .secretRef.name }}
- secret:
    name: {{ .secretRef.name }}
    items:
      - key: {{ .secretRef.key | quote }}
        path: {{ $file }}
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

{{/* Where the files of these sources are mounted, as Stoker's variables. */}}
{{- define "stoker-operator.webhookSecretFiles" -}}
{{- $lines := list }}
{{- range $file, $variable := dict "webhook-secret" "WEBHOOK_HMAC_SECRET_FILE" "webhook-token" "WEBHOOK_BEARER_TOKEN_FILE" }}
{{- if contains (printf "path: %s" $file) $ }}
{{- $lines = append $lines (dict "name" $variable "value" (printf "/etc/stoker/webhook-auth/%s" $file)) }}
{{- end }}
{{- end }}
{{- toYaml $lines }}
{{- end }}

{{/* The settings file: what `plugins.settings` says, and `enabled: false` for what `plugins.disable` names. */}}
{{- define "stoker-operator.pluginSettings" -}}
{{- $settings := deepCopy .Values.plugins.settings }}
{{- range .Values.plugins.disable }}
{{- $settings = mergeOverwrite $settings (dict "plugins" (dict . (dict "enabled" false))) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* Replicas: without an election, only one may be the controller. */}}
{{- define "stoker-operator.replicas" -}}
{{- if .Values.leaderElection.enabled }}
{{- int .Values.replicaCount }}
{{- else }}
{{- min 1 (int .Values.replicaCount) }}
{{- end }}
{{- end }}

{{/* Affinity: what the values say, and a wish to be on another node than the other replicas. */}}
{{- define "stoker-operator.affinity" -}}
{{- $labels := include "stoker-operator.selectorLabels" . | fromYaml }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) }}
{{- $wish := list (dict "weight" 100 "podAffinityTerm" $term) }}
{{- $apart := dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $wish) }}
{{- $affinity := default dict .Values.affinity }}
{{- if or (hasKey $affinity "podAntiAffinity") (hasKey $affinity "podAffinity") }}
{{- toYaml $affinity }}
{{- else }}
{{- merge (deepCopy $affinity) $apart | toYaml }}
{{- end }}
{{- end }}
