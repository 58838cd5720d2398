{{/* One installation a cluster: names are fixed, since rights, rules and documents speak of them. */}}

{{/* Labels of an object: (list $ "component"). */}}
{{- define "cpp.labels" -}}
{{ include "cpp.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: container-personality
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end }}

{{/* Labels by which pods are found; cpp/part also tells the actuator to leave them alone. */}}
{{- define "cpp.selector" -}}
app.kubernetes.io/name: container-personality
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
cpp/part: {{ index . 1 }}
{{- end }}

{{/* Pod Security "restricted": what the pod says. */}}
{{- define "cpp.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Pod Security "restricted": what each container says. */}}
{{- define "cpp.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What all pods share: (list $ "part"). */}}
{{- define "cpp.placement" -}}
{{- $values := (index . 0).Values }}
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with (index $values (index . 1)).nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with (index $values (index . 1)).tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Ready when it answers so, ended when it no longer lives: the port's name. */}}
{{- define "cpp.probes" -}}
readinessProbe:
  httpGet: {path: /-/ready, port: {{ . }}}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /-/healthy, port: {{ . }}}
  initialDelaySeconds: 15
  timeoutSeconds: 5
{{- end }}

{{- define "cpp.tokenSecret" -}}
{{ .Values.actuator.tokenSecret | default "cpp-actuator-token" }}
{{- end }}
