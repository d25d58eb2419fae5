extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        auditRecordTarget,
        celTarget,
        chunkedTarget,
        dnsTarget,
        fieldSetTarget,
        gzipTarget,
        httpRequestTarget,
        httpResponseTarget,
        jsonPatchTarget,
        jsonTarget,
        labelSelectorTarget,
        policyProfileTarget,
        protobufTarget,
        sniTarget,
        spdyTarget,
        sseTarget,
        tlsTarget,
        watchTarget,
        webSocketTarget,
        yamlTarget,
    ]
}
