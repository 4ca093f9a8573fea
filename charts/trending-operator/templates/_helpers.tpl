{{/* The chart's name, as the label app.kubernetes.io/name. */}}
{{- define "trending-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects: the release's, with the chart's where it is not in it. Cluster-wide objects add the namespace. */}}
{{- define "trending-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "trending-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of objects outside of the release's namespace: releases of one name in two namespaces must not share them. */}}
{{- define "trending-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "trending-operator.fullname" .) }}
{{- end }}

{{- define "trending-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "trending-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What selects the controllers' pods; it may never change, a Deployment's selector being immutable. */}}
{{- define "trending-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trending-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "trending-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "trending-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* A tag as text; of a number Helm makes one in floating point: 20261126 would be 2.0261126e+07. */}}
{{- define "trending-operator.tag" -}}
{{- kindIs "string" . | ternary . (int64 .) }}
{{- end }}

{{/* repository:tag, with a digest repository:tag@digest, by which alone it is pulled then. */}}
{{- define "trending-operator.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag | include "trending-operator.tag") }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The image of runs' pods: the controller's own, part by part, unless told otherwise; a digest belongs to one repository and tag. */}}
{{- define "trending-operator.runImage" -}}
{{- $own := .Values.image }}
{{- $run := .Values.runs.image }}
{{- $digest := $run.digest }}
{{- if and (not $run.repository) (not $run.tag) (not $run.digest) }}
{{- $digest = $own.digest }}
{{- end }}
{{- $tag := coalesce $run.tag $own.tag .Chart.AppVersion | include "trending-operator.tag" }}
{{- printf "%s:%s" (default $own.repository $run.repository) $tag }}
{{- if $digest }}@{{ $digest }}{{ end }}
{{- end }}

{{/* Of containers, the test's too: what Pod Security's level "restricted" asks for, and a root that is read-only besides. */}}
{{- define "trending-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "trending-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The namespace of the objects of `helm test`: one whose schedules run. */}}
{{- define "trending-operator.testNamespace" -}}
{{- if .Values.test.namespace }}
{{- .Values.test.namespace }}
{{- else if or (not .Values.watchNamespaces) (has .Release.Namespace .Values.watchNamespaces) }}
{{- .Release.Namespace }}
{{- else }}
{{- first .Values.watchNamespaces }}
{{- end }}
{{- end }}

{{/* At most 52 characters, as a schedule's name; never the release's own, whose ServiceAccount would go with the test's. */}}
{{- define "trending-operator.testName" -}}
{{- printf "%s-test" (include "trending-operator.fullname" . | trunc 47 | trimSuffix "-") }}
{{- end }}

{{/* What tells the test's objects, and by what the network policy lets its pod ask for metrics. */}}
{{- define "trending-operator.testLabels" -}}
app.kubernetes.io/name: {{ include "trending-operator.name" . | trunc 58 | trimSuffix "-" }}-test
{{- end }}

{{/* Metadata of the objects of `helm test`: made for it, and gone afterwards, whatever came out. Labels that no selector knows. */}}
{{- define "trending-operator.testMetadata" -}}
name: {{ include "trending-operator.testName" . }}
namespace: {{ include "trending-operator.testNamespace" . | quote }}
labels:
  {{- include "trending-operator.testLabels" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end }}
