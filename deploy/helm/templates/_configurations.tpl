{{/* Keys that are left out keep the programs' defaults. */}}

{{- define "cpp.exporterConfig" -}}
node: ${NODE_NAME}
sources:
  {{- range $source, $path := dict "cadvisor" "/metrics/cadvisor" "kubelet" "/pods" }}
  {{ $source }}:
    url: https://${NODE_IP}:10250{{ $path }}
    token_file: /var/run/secrets/kubernetes.io/serviceaccount/token
    ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    verify: {{ $.Values.exporter.verifyKubelet }}
  {{- end }}
  probe:
  {{- if .Values.probe.enabled }}
    url: http://cpp-probe.{{ .Values.probe.namespace }}.svc:17901/metrics
  {{- else }} null
  {{- end }}
  prometheus:
    url: {{ .Values.prometheus.url }}
state:
  directory: /var/lib/cpp-exporter
{{- end }}

{{- define "cpp.actuatorConfig" -}}
dry_run: {{ .Values.actuator.dryRun }}
cluster: {{ .Values.cluster | quote }}
webhook:
  token_file: /etc/cpp-token/token
prometheus:
  url: {{ .Values.prometheus.url }}
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
ledger:
  path: /var/lib/cpp-actuator/ledger.sqlite
platform:
  kind: kubernetes
  namespace: {{ .Release.Namespace }}
  placeholder_image: {{ .Values.images.placeholder }}
{{- if .Values.steering.enabled }}
admission:
  listen_address: ":17903"
  cert_file: /etc/cpp-steer/tls.crt
  key_file: /etc/cpp-steer/tls.key
{{- end }}
{{- end }}
