extension ProtobufFields {
    /// Package `k8s.io.api.core.v1`.
    static let core: [String: String] = [
        "Affinity": "nodeAffinity podAffinity podAntiAffinity",
        "AppArmorProfile": "type localhostProfile",
        "Binding": "metadata target",
        "Capabilities": "add drop",
        "ClientIPConfig": "timeoutSeconds",
        "ConfigMap": "metadata data binaryData immutable",
        "ConfigMapEnvSource": "+LocalObjectReference optional",
        "ConfigMapKeySelector": "+LocalObjectReference key optional",
        "ConfigMapProjection": "+LocalObjectReference items - optional",
        "ConfigMapVolumeSource": "+LocalObjectReference items defaultMode optional",
        "Container":
            "name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe "
            + "lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom "
            + "terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy",
        "ContainerImage": "names sizeBytes",
        "ContainerPort": "name hostPort containerPort protocol hostIP",
        "ContainerResizePolicy": "resourceName restartPolicy",
        "ContainerState": "waiting running terminated",
        "ContainerStateRunning": "startedAt",
        "ContainerStateTerminated": "exitCode signal reason message startedAt finishedAt containerID",
        "ContainerStateWaiting": "reason message",
        "ContainerStatus":
            "name state lastState ready restartCount image imageID containerID started allocatedResources resources "
            + "volumeMounts user - stopSignal",
        "ContainerUser": "linux",
        "DaemonEndpoint": "Port",
        "DownwardAPIProjection": "items",
        "DownwardAPIVolumeFile": "path fieldRef resourceFieldRef mode",
        "DownwardAPIVolumeSource": "items defaultMode",
        "EmptyDirVolumeSource": "medium sizeLimit",
        "EnvFromSource": "prefix configMapRef secretRef",
        "EnvVar": "name value valueFrom",
        "EnvVarSource": "fieldRef resourceFieldRef configMapKeyRef secretKeyRef",
        "Event":
            "metadata involvedObject reason message source firstTimestamp lastTimestamp count type eventTime series "
            + "action related reportingComponent reportingInstance",
        "EventSeries": "count lastObservedTime",
        "EventSource": "component host",
        "ExecAction": "command",
        "GRPCAction": "port service",
        "HTTPGetAction": "path port host scheme httpHeaders",
        "HTTPHeader": "name value",
        "HostAlias": "ip hostnames",
        "HostIP": "ip",
        "HostPathVolumeSource": "path type",
        "KeyToPath": "key path mode",
        "Lifecycle": "postStart preStop stopSignal",
        "LifecycleHandler": "exec httpGet tcpSocket sleep",
        "LinuxContainerUser": "uid gid supplementalGroups",
        "LoadBalancerIngress": "ip hostname ipMode ports",
        "LoadBalancerStatus": "ingress",
        "LocalObjectReference": "name",
        "Namespace": "metadata spec status",
        "NamespaceCondition": "type status - lastTransitionTime reason message",
        "NamespaceSpec": "finalizers",
        "NamespaceStatus": "phase conditions",
        "Node": "metadata spec status",
        "NodeAddress": "type address",
        "NodeAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
        "NodeCondition": "type status lastHeartbeatTime lastTransitionTime reason message",
        "NodeDaemonEndpoints": "kubeletEndpoint",
        "NodeSelector": "nodeSelectorTerms",
        "NodeSelectorRequirement": "key operator values",
        "NodeSelectorTerm": "matchExpressions matchFields",
        "NodeSpec": "podCIDR externalID providerID unschedulable taints - podCIDRs",
        "NodeStatus": "capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images volumesInUse",
        "NodeSystemInfo":
            "machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion kubeletVersion "
            + "kubeProxyVersion operatingSystem architecture",
        "ObjectFieldSelector": "apiVersion fieldPath",
        "ObjectReference": "kind namespace name uid apiVersion resourceVersion fieldPath",
        "PersistentVolumeClaimVolumeSource": "claimName readOnly",
        "Pod": "metadata spec status",
        "PodAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
        "PodAffinityTerm": "labelSelector namespaces topologyKey namespaceSelector matchLabelKeys mismatchLabelKeys",
        "PodAntiAffinity": "requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
        "PodCondition": "type status lastProbeTime lastTransitionTime reason message observedGeneration",
        "PodDNSConfig": "nameservers searches options",
        "PodDNSConfigOption": "name value",
        "PodIP": "ip",
        "PodOS": "name",
        "PodReadinessGate": "conditionType",
        "PodSchedulingGate": "name",
        "PodSecurityContext":
            "seLinuxOptions runAsUser runAsNonRoot supplementalGroups fsGroup runAsGroup sysctls windowsOptions "
            + "fsGroupChangePolicy seccompProfile appArmorProfile supplementalGroupsPolicy seLinuxChangePolicy",
        "PodSpec":
            "volumes containers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy "
            + "nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC securityContext "
            + "imagePullSecrets hostname subdomain affinity schedulerName initContainers automountServiceAccountToken "
            + "tolerations hostAliases priorityClassName priority dnsConfig shareProcessNamespace readinessGates "
            + "runtimeClassName enableServiceLinks preemptionPolicy overhead topologySpreadConstraints - "
            + "setHostnameAsFQDN os hostUsers schedulingGates - resources",
        "PodStatus":
            "phase conditions message reason hostIP podIP startTime containerStatuses qosClass initContainerStatuses "
            + "nominatedNodeName podIPs - resize - hostIPs observedGeneration",
        "PodTemplateSpec": "metadata spec",
        "PortStatus": "port protocol error",
        "PreferredSchedulingTerm": "weight preference",
        "Probe":
            "+ProbeHandler initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold "
            + "terminationGracePeriodSeconds",
        "ProbeHandler": "exec httpGet tcpSocket grpc",
        "ProjectedVolumeSource": "sources defaultMode",
        "ResourceClaim": "name request",
        "ResourceFieldSelector": "containerName resource divisor",
        "ResourceQuota": "metadata spec status",
        "ResourceQuotaSpec": "hard scopes scopeSelector",
        "ResourceQuotaStatus": "hard used",
        "ResourceRequirements": "limits requests claims",
        "SELinuxOptions": "user role type level",
        "ScopeSelector": "matchExpressions",
        "ScopedResourceSelectorRequirement": "scopeName operator values",
        "SeccompProfile": "type localhostProfile",
        "Secret": "metadata data type stringData immutable",
        "SecretEnvSource": "+LocalObjectReference optional",
        "SecretKeySelector": "+LocalObjectReference key optional",
        "SecretProjection": "+LocalObjectReference items - optional",
        "SecretVolumeSource": "secretName items defaultMode optional",
        "SecurityContext":
            "capabilities privileged seLinuxOptions runAsUser runAsNonRoot readOnlyRootFilesystem "
            + "allowPrivilegeEscalation runAsGroup procMount windowsOptions seccompProfile appArmorProfile",
        "Service": "metadata spec status",
        "ServiceAccount": "metadata secrets imagePullSecrets automountServiceAccountToken",
        "ServiceAccountTokenProjection": "audience expirationSeconds path",
        "ServicePort": "name protocol port targetPort nodePort appProtocol",
        "ServiceSpec":
            "ports selector clusterIP type externalIPs - sessionAffinity loadBalancerIP loadBalancerSourceRanges "
            + "externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses sessionAffinityConfig - "
            + "- ipFamilyPolicy clusterIPs ipFamilies allocateLoadBalancerNodePorts loadBalancerClass "
            + "internalTrafficPolicy trafficDistribution",
        "ServiceStatus": "loadBalancer conditions",
        "SessionAffinityConfig": "clientIP",
        "SleepAction": "seconds",
        "Sysctl": "name value",
        "TCPSocketAction": "port host",
        "Taint": "key value effect timeAdded",
        "Toleration": "key operator value effect tolerationSeconds",
        "TopologySpreadConstraint":
            "maxSkew topologyKey whenUnsatisfiable labelSelector minDomains nodeAffinityPolicy nodeTaintsPolicy "
            + "matchLabelKeys",
        "Volume": "name +VolumeSource",
        "VolumeDevice": "name devicePath",
        "VolumeMount": "name readOnly mountPath subPath mountPropagation subPathExpr recursiveReadOnly",
        "VolumeMountStatus": "name mountPath readOnly recursiveReadOnly",
        "VolumeProjection": "secret downwardAPI configMap serviceAccountToken",
        "VolumeSource":
            "hostPath emptyDir - - - secret - - - persistentVolumeClaim - - - - - downwardAPI - - configMap - - - - "
            + "- - projected",
        "WeightedPodAffinityTerm": "weight podAffinityTerm",
        "WindowsSecurityContextOptions": "gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess",
    ]
}
