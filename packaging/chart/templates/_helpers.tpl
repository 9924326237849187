{{/* Labels of all objects that the chart makes itself. */}}
{{- define "keyswap.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: keyswap
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The address of the registry within the cluster, for data planes. */}}
{{- define "keyswap.registry.url" -}}
{{ ternary "https" "http" (ne .Values.registry.tls.secret "") }}://keyswap-registry.{{ .Release.Namespace }}.svc.cluster.local:7070
{{- end }}

{{/* The address of the registry within the cluster, for administrators. */}}
{{- define "keyswap.registry.admin" -}}
{{ include "keyswap.registry.url" . | trimSuffix "7070" }}7071
{{- end }}

{{/* Restrictions of a container: the strictest Pod Security Standard, and a root file system that cannot be written. */}}
{{- define "keyswap.container.security" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Restrictions of a pod that runs the command `keyswap`. */}}
{{- define "keyswap.pod.security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The objects of `gateway.manifests`, as a YAML list of documents. Whatever does not fit the other values is refused. */}}
{{- define "keyswap.gateway.objects" -}}
{{- $namespace := .Release.Namespace }}
{{- if .Values.registry.enabled }}
  {{- range regexFindAll "keyswap-registry\\.[-a-z0-9]+\\.svc" .Values.gateway.manifests -1 }}
    {{- if ne . (printf "keyswap-registry.%s.svc" $namespace) }}
      {{- fail (printf "gateway.manifests: they call `%s`, and this release has the registry in `%s`: change the address in the policy and in `--cluster`, or set registry.enabled=false" . $namespace) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $objects := list }}
{{- /* Helm ends a document at every line that begins like this. */}}
{{- range $index, $text := regexSplit "(?m)^---" .Values.gateway.manifests -1 }}
  {{- $object := fromYaml $text }}
  {{- $name := printf "%v `%v`" $object.kind ($object.metadata | default dict).name }}
  {{- if and $object.Error (not $object.kind) }}
    {{- fail (printf "gateway.manifests: document %d is no object: %s" $index $object.Error) }}
  {{- end }}
  {{- if $object }}
    {{- $kind := toString $object.kind }}
    {{- if or (not $object.kind) (eq "Secret" $kind) (hasSuffix "List" $kind) }}
      {{- fail (printf "gateway.manifests: document %d is a Secret, a list or nothing: pass what `keyswap render` writes" $index) }}
    {{- end }}
    {{- if ne $namespace (toString ($object.metadata | default dict).namespace) }}
      {{- fail (printf "gateway.manifests: %s is not of the namespace of this release: render with `--namespace %s`" $name $namespace) }}
    {{- end }}
    {{- if and $.Values.registry.enabled (eq "keyswap-registry" (toString $object.metadata.name)) }}
      {{- fail (printf "gateway.manifests: %s is of the registry, which this chart installs: render without `--registry-image`, or set registry.enabled=false" $name) }}
    {{- end }}
    {{- $objects = append $objects $object }}
  {{- end }}
{{- end }}
{{- toYaml $objects }}
{{- end }}

{{/* The labels of the pods that an object of Istio is for: those that it selects, or those of the Gateway that it targets. */}}
{{- define "keyswap.gateway.pods" -}}
{{- if .spec.targetRefs }}
gateway.networking.k8s.io/gateway-name: {{ (first .spec.targetRefs).name }}
{{- else if .spec.workloadSelector }}
{{- toYaml .spec.workloadSelector.labels }}
{{- else }}
{{- toYaml .spec.selector.matchLabels }}
{{- end }}
{{- end }}

{{/* Fails unless the gateway calls the registry of this release as it answers: with TLS or without. */}}
{{- define "keyswap.gateway.tls" -}}
{{- $service := printf "keyswap-registry.%s.svc" .Release.Namespace }}
{{- if and .Values.registry.enabled (contains $service .Values.gateway.manifests) }}
  {{- $isTls := false }}
  {{- range fromYamlArray (include "keyswap.gateway.objects" .) }}
    {{- if and (eq .kind "DestinationRule") (hasPrefix $service (toString .spec.host)) }}
      {{- $isTls = true }}
    {{- else if eq .kind "EnvoyProxy" }}
      {{- range .spec.bootstrap.jsonPatches }}
        {{- $patch := toJson . }}
        {{- $isTls = or $isTls (and (contains $service $patch) (contains "\"transport_socket\"" $patch)) }}
      {{- end }}
    {{- end }}
  {{- end }}
  {{- if and $isTls (not .Values.registry.tls.secret) }}
    {{- fail "gateway.manifests: they call the registry with TLS, and it has no certificate: set registry.tls.secret, or render with an `http://` address" }}
  {{- end }}
  {{- if and .Values.registry.tls.secret (not $isTls) }}
    {{- fail "gateway.manifests: they call the registry without TLS, and it has a certificate: render with an `https://` address in `--cluster`, or set no registry.tls.secret" }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The gateway as a source of an AuthorizationPolicy: its account, or its namespace if the gateway was there already. */}}
{{- define "keyswap.gateway.source" -}}
{{- $source := dict "namespaces" (list .Release.Namespace) }}
{{- range fromYamlArray (include "keyswap.gateway.objects" .) }}
  {{- if and (eq .kind "ServiceAccount") (eq .metadata.name "keyswap-gateway") }}
    {{- $source = dict "serviceAccounts" (list (printf "%s/%s" $.Release.Namespace .metadata.name)) }}
  {{- end }}
{{- end }}
{{- toJson $source }}
{{- end }}

{{/* The objects that run the filter: for Istio a WasmPlugin, a TrafficExtension or the module's EnvoyFilter, else
EnvoyExtensionPolicies. */}}
{{- define "keyswap.gateway.filters" -}}
{{- $filters := list }}
{{- range fromYamlArray (include "keyswap.gateway.objects" .) }}
  {{- $group := first (splitList "/" .apiVersion) }}
  {{- $isOfIstio := hasSuffix ".istio.io" $group }}
  {{- $isOfEnvoyGateway := eq "gateway.envoyproxy.io" $group }}
  {{- if or (and $isOfIstio (ne "istio" $.Values.mesh)) (and $isOfEnvoyGateway (ne "envoy-gateway" $.Values.mesh)) }}
    {{- fail (printf "gateway.manifests: %s `%s` is of another mesh than `mesh: %s`" .kind .metadata.name $.Values.mesh) }}
  {{- end }}
  {{- if has .kind (list "WasmPlugin" "TrafficExtension") }}
    {{- $filters = append $filters (dict "native" false "pods" (include "keyswap.gateway.pods" . | fromYaml)) }}
  {{- else if and (eq .kind "EnvoyFilter") (contains "DynamicModuleFilter" (toJson .)) }}
    {{- $filters = append $filters (dict "native" true "pods" (include "keyswap.gateway.pods" . | fromYaml)) }}
  {{- else if eq .kind "EnvoyExtensionPolicy" }}
    {{- $gateway := (first .spec.targetRefs).name }}
    {{- $labels := dict "gateway.envoyproxy.io/owning-gateway-name" $gateway "gateway.envoyproxy.io/owning-gateway-namespace" $.Release.Namespace }}
    {{- $filters = append $filters (dict "native" (hasKey .spec "dynamicModule") "pods" $labels) }}
  {{- end }}
{{- end }}
{{- toYaml $filters }}
{{- end }}

{{/* The filter of the gateway; fails unless `gateway.manifests` has exactly the one that `mesh` and `native` announce. */}}
{{- define "keyswap.gateway.filter" -}}
{{- $render := printf "keyswap render %s%s --namespace %s …" .Values.mesh (ternary " --native" "" .Values.native) .Release.Namespace }}
{{- if not .Values.gateway.manifests }}
  {{- fail (printf "gateway.manifests: `mesh: %s` needs the output of `%s`" .Values.mesh $render) }}
{{- end }}
{{- $filters := fromYamlArray (include "keyswap.gateway.filters" .) }}
{{- if ne 1 (len $filters) }}
  {{- fail (printf "gateway.manifests: %d objects run Keyswap, and one must: pass the output of `%s`" (len $filters) $render) }}
{{- end }}
{{- $filter := first $filters }}
{{- if and $filter.native (not .Values.native) }}
  {{- fail "native: gateway.manifests run the dynamic module, which has no sandbox: consent with `native: true`, or render without `--native`" }}
{{- end }}
{{- if and .Values.native (not $filter.native) }}
  {{- fail (printf "native: gateway.manifests run the filter and not the dynamic module: pass the output of `%s`" $render) }}
{{- end }}
{{- toYaml $filter }}
{{- end }}
