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

{{/* The name of cluster-wide objects: releases of one name in two namespaces must not share them. */}}
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

{{/* What selects the controller's pod; it may never change, a Deployment's selector being immutable. */}}
{{- define "trending-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trending-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trending-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "trending-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "trending-operator.image" -}}
{{- printf "%s:%v" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{/* The image of runs' pods: the controller's own, part by part, unless told otherwise. */}}
{{- define "trending-operator.runImage" -}}
{{- $own := .Values.image }}
{{- $run := .Values.runs.image }}
{{- printf "%s:%v" (default $own.repository $run.repository) (coalesce $run.tag $own.tag .Chart.AppVersion) }}
{{- end }}
