{{/* Other releases of the chart, by the role of the agents. It is kept when its release is uninstalled. */}}

{{/* The name and the namespace of the release that owns an object, unless it is this one. Arguments: the root, the object. */}}
{{- define "stoker-operator.otherOwner" -}}
{{- $release := (index . 0).Release }}
{{- $annotations := dig "metadata" "annotations" dict (index . 1 | default dict) | default dict }}
{{- $name := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if and $name (or (ne $name $release.Name) (ne $namespace $release.Namespace)) }}
{{- dict "name" $name "namespace" $namespace | toYaml }}
{{- end }}
{{- end }}

{{/* The other release that owns the role of the agents of this scope. Empty if there is none. */}}
{{- define "stoker-operator.agentRoleOwner" -}}
{{- $kind := include "stoker-operator.roleKind" . }}
{{- $namespace := ternary "" .Release.Namespace (eq $kind "ClusterRole") }}
{{- $role := lookup "rbac.authorization.k8s.io/v1" $kind $namespace "stoker-agent" }}
{{- include "stoker-operator.otherOwner" (list . $role) }}
{{- end }}

{{/*
Not empty if a release runs and serves all namespaces, or its own. Arguments: its name and namespace, the kind of its role.
*/}}
{{- define "stoker-operator.serves" -}}
{{- $release := index . 0 }}
{{- $kind := index . 1 }}
{{- range dig "items" list (lookup "apps/v1" "Deployment" $release.namespace "" | default dict) }}
{{- $labels := .metadata.labels | default dict }}
{{- $annotations := .metadata.annotations | default dict }}
{{- $isOwn := eq (get $annotations "meta.helm.sh/release-name") $release.name }}
{{- if and $isOwn (eq (get $labels "control-plane") "controller-manager") }}
{{- $arguments := dig "args" list (first .spec.template.spec.containers) | join " " }}
{{- if eq (contains "--watch-namespace=" $arguments) (eq $kind "Role") }}yes{{ end }}
{{- end }}
{{- end }}
{{- end }}
