extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        auditRecordTarget,
        celTarget,
        chunkedTarget,
        dnsTarget,
        evalCorpusTarget,
        fieldSetTarget,
        gzipTarget,
        httpRequestTarget,
        httpResponseTarget,
        jsonPatchTarget,
        jsonTarget,
        labelSelectorTarget,
        policyProfileTarget,
        protobufTarget,
        routerReportTarget,
        sniTarget,
        spdyTarget,
        sseTarget,
        tlsTarget,
        watchTarget,
        webSocketTarget,
        yamlTarget,
    ]
}
