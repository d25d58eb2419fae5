import KarsCore
import Testing

@Suite struct `Pod model` {
    static let text = """
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b"}},"spec":{
         "restartPolicy":"OnFailure","hostname":"p","terminationGracePeriodSeconds":5,
         "securityContext":{"runAsUser":1000,"fsGroup":1000,"seccompProfile":{"type":"Localhost","localhostProfile":"profiles/x.json"}},
         "initContainers":[{"name":"i","image":"kars","command":["true"]}],
         "containers":[{"name":"c","image":"x:1","imagePullPolicy":"Always","command":["sh"],"args":["-c","id"],"workingDir":"/w",
          "ports":[{"name":"http","containerPort":80,"protocol":"TCP"}],
          "env":[{"name":"A","value":"1"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"s","key":"k","optional":true}}},
                 {"name":"C","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
                 {"name":"D","valueFrom":{"configMapKeyRef":{"name":"m","key":"k"}}}],
          "envFrom":[{"secretRef":{"name":"s","optional":true}}],
          "resources":{"requests":{"cpu":"100m"},"limits":{"memory":"1Gi"}},
          "volumeMounts":[{"name":"v","mountPath":"/w"},{"name":"m","mountPath":"/m","readOnly":true,"subPath":"a/b"}],
          "livenessProbe":{"exec":{"command":["true"]},"periodSeconds":3,"timeoutSeconds":1,"failureThreshold":3},
          "readinessProbe":{"httpGet":{"path":"/r","port":90,"scheme":"HTTP"},"periodSeconds":10,"timeoutSeconds":1,"failureThreshold":3},
          "startupProbe":{"tcpSocket":{"port":90},"initialDelaySeconds":2,"periodSeconds":10,"timeoutSeconds":1,"failureThreshold":3},
          "securityContext":{"runAsUser":7,"runAsNonRoot":true,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false,
           "capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}}}],
         "volumes":[{"name":"v","emptyDir":{"medium":"Memory","sizeLimit":"64Mi"}},{"name":"m","configMap":{"name":"m","optional":true}},
          {"name":"s","secret":{"secretName":"s","defaultMode":256}},{"name":"h","hostPath":{"path":"/x","type":"Directory"}}]}}
        """

    @Test func `what is read is written back the same`() throws {
        let json = try JSON(parsing: Self.text)
        #expect(try Pod(reading: json).json == json)
    }

    @Test(arguments: [
        (#""hostname":"p""#, #""hostNetwork":true"#, "spec.hostNetwork: is not supported"),
        (
            #""runAsUser":7"#, #""runAsUser":70000"#,
            "spec.containers[0].securityContext.runAsUser: expected a whole number from 0 to 65535"
        ),
        (#""runAsNonRoot":true"#, #""privileged":true"#, "spec.containers[0].securityContext.privileged: is never allowed"),
        (
            #""mountPath":"/m""#, #""mountPath":"/m/../etc""#,
            "spec.containers[0].volumeMounts[1].mountPath: expected an absolute path without .."
        ),
        (
            #""subPath":"a/b""#, #""subPath":"../b""#,
            "spec.containers[0].volumeMounts[1].subPath: expected a relative path without .."
        ),
        (#""medium":"Memory""#, #""medium":"Huge""#, "spec.volumes[0].emptyDir.medium: expected Memory or nothing"),
        (#""sizeLimit":"64Mi""#, #""sizeLimit":"much""#, "spec.volumes[0].emptyDir.sizeLimit: expected a quantity such as 1Gi"),
        (#""name":"i","image":"kars""#, #""name":"c","image":"kars""#, "spec.containers: two containers are named c"),
        (#"{"name":"v","mountPath""#, #"{"name":"w","mountPath""#, "spec.containers: c mounts w, which is no volume of this pod"),
        (#""kind":"Pod""#, #""kind":"Job""#, "kind: expected a v1 Pod"),
    ])
    func `a mistake is refused with its place`(old: String, new: String, message: String) throws {
        let range = try #require(Self.text.firstRange(of: old))
        let json = try JSON(parsing: Self.text.replacingCharacters(range, with: new))
        let error = #expect(throws: ResourceError.self) { try Pod(reading: json) }
        #expect(error?.description == message)
    }
}

extension String {
    fileprivate func replacingCharacters(_ range: Range<String.Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
