import KarsCore
import Testing

@Suite struct `CEL libraries of Kubernetes` {
    @Test(arguments: [
        CELRow("[1, 2, 2].isSorted()", "true"), CELRow("['b', 'a'].isSorted()", "false"), CELRow("[].isSorted()", "true"),
        CELRow("[duration('1s'), duration('2m')].isSorted()", "true"),
        CELRow("[1, 3, 2].sum()", "6"), CELRow("[1.5, 2.5].sum()", "4.0"), CELRow("[].sum()", "0"), CELRow("[1u].sum()", "1u"),
        CELRow("[duration('1m'), duration('1s')].sum()", "duration(61s)"),
        CELRow("dyn([1, 2]).sum()", "3"), CELRow("[9223372036854775807, 1].sum()", "error: integer overflow"),
        CELRow("[1.0].filter(x, false).sum()", "0.0"),
        CELRow("[3, 1, 2].min()", "1"), CELRow("['a', 'c', 'b'].max()", "'c'"),
        CELRow("[].min()", "error: min called on empty list"), CELRow("[].max()", "error: max called on empty list"),
        CELRow("[false, true].max()", "true"), CELRow("[dyn(1), 'a'].max()", "error: no such overload"),
        CELRow("[1, 2, 2, 3].indexOf(2)", "1"), CELRow("['a', 'b', 'b', 'c'].lastIndexOf('b')", "2"),
        CELRow("[1.0].indexOf(1.1)", "-1"),
        CELRow("[[1]].isSorted()", "1:15: found no matching overload for 'isSorted' applied to 'list(list(int)).()'"),
        CELRow("['a'].sum()", "1:10: found no matching overload for 'sum' applied to 'list(string).()'"),
        CELRow("sets.contains([1, 2, 3, 4], [2, 3])", "true"), CELRow("sets.contains([], [1])", "false"),
        CELRow("sets.contains([1], [])", "true"), CELRow("sets.equivalent([1, 1, 2], [2, 1])", "true"),
        CELRow("sets.equivalent([1], [1, 2])", "false"), CELRow("sets.intersects([1], [1, 2])", "true"),
        CELRow("sets.intersects([1], [])", "false"), CELRow("sets.contains([[1], [2]], [[2]])", "true"),
        CELRow("sets.equivalent(dyn([1]), [dyn(1.0), 1u])", "true"),
    ])
    func `lists and sets`(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test(arguments: [
        CELRow("'abc 123'.find('[0-9]+')", "'123'"), CELRow("'abc 123'.find('[0-9]*')", "''"), CELRow("'abc'.find('x')", "''"),
        CELRow("'123 abc 456'.findAll('[0-9]+')", "['123', '456']"),
        CELRow("'123 abc 456'.findAll('[0-9]+', 1)", "['123']"), CELRow("'123 abc 456'.findAll('[0-9]+', 0)", "[]"),
        CELRow("'123 abc 456'.findAll('[0-9]+', -1)", "['123', '456']"),
        CELRow("'1, 2, 3, 4'.findAll('[0-9]+').map(x, int(x)).sum() < 100", "true"),
        CELRow("'abc'.findAll('')", "['', '', '', '']"), CELRow("'ab'.findAll('a*')", "['a', '']"),
        CELRow("'abc'.matches('b')", "true"), CELRow("matches('abc', '^b')", "false"),
        CELRow("'abc'.matches('a' + '.c$')", "true"),
        CELRow("'abc'.matches('(' + '')", "error: error parsing regexp: missing closing ): `(`"),
        CELRow("['a', '['].exists(p, 'x'.matches(p))", "error: error parsing regexp: missing closing ]: `[`"),
    ])
    func `regular expressions`(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test(arguments: [
        CELRow("url('/path').getScheme()", "''"), CELRow("url('HTTPS://example.com/').getScheme()", "'https'"),
        CELRow("url('https://example.com:80/').getHost()", "'example.com:80'"),
        CELRow("url('https://example.com/').getHost()", "'example.com'"),
        CELRow("url('https://[::1]:80/').getHost()", "'[::1]:80'"), CELRow("url('https://[::1]/').getHost()", "'[::1]'"),
        CELRow("url('/path').getHost()", "''"), CELRow("url('https://example.com:80/').getHostname()", "'example.com'"),
        CELRow("url('https://127.0.0.1:80/').getHostname()", "'127.0.0.1'"),
        CELRow("url('https://[::1]:80/').getHostname()", "'::1'"), CELRow("url('/path').getHostname()", "''"),
        CELRow("url('https://example.com:80/').getPort()", "'80'"),
        CELRow("url('https://example.com/').getPort()", "''"), CELRow("url('/path').getPort()", "''"),
        CELRow("url('https://example.com/path').getEscapedPath()", "'/path'"),
        CELRow("url('https://example.com/path with spaces/').getEscapedPath()", "'/path%20with%20spaces/'"),
        CELRow("url('https://example.com').getEscapedPath()", "''"),
        CELRow("url('https://example.com/a%2Fb#f').getEscapedPath()", "'/a%2Fb'"),
        CELRow("url('https://example.com/é').getEscapedPath()", "'/%C3%A9'"),
        CELRow("url('https://example.com/path?k1=a&k2=b&k2=c').getQuery()", "{'k1': ['a'], 'k2': ['b', 'c']}"),
        CELRow(
            "url('https://example.com/path?key with spaces=value with spaces').getQuery()",
            "{'key with spaces': ['value with spaces']}"),
        CELRow("url('https://example.com/path?').getQuery()", "{}"), CELRow("url('https://example.com/path').getQuery()", "{}"),
        CELRow("url('/?a=%20+&b&%zz=1&c;d=1').getQuery()", "{'a': ['  '], 'b': ['']}"),
        CELRow("url('https://user:pass@example.com:80/path?query=val#fragment').getHost()", "'example.com:80'"),
        CELRow("isURL('https://user:pass@example.com:80/path?query=val#fragment')", "true"),
        CELRow("isURL('/absolute-path')", "true"), CELRow("isURL('https://a:b:c/')", "false"),
        CELRow("isURL('../relative-path')", "false"), CELRow("isURL('')", "false"), CELRow("isURL('mailto:a@b')", "true"),
        CELRow("isURL('https://exa mple.com/')", "false"), CELRow("isURL('https://[::1/')", "false"),
        CELRow("isURL('https://h/%zz')", "false"), CELRow("isURL('1http://h')", "false"), CELRow("isURL(':x')", "false"),
        CELRow("isURL('https://u ser@h/')", "false"), CELRow("isURL('https://h/\\n')", "false"), CELRow("isURL('*')", "true"),
        CELRow(
            "url('../relative-path')",
            "error: URL parse error during conversion from string: parse \"../relative-path\": invalid URI for request"),
        CELRow(
            "url('https://a:b:c/')",
            "error: URL parse error during conversion from string: parse \"https://a:b:c/\": invalid port \":c\" after host"),
        CELRow("url('https://a/') == url('https://a/') && url('https://a/') != url('https://b/')", "true"),
    ])
    func urls(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test(arguments: [
        CELRow(
            "isQuantity('20') && isQuantity('20M') && isQuantity('1.5Gi') && isQuantity('100m') && isQuantity('1e3') && isQuantity('-.5') && isQuantity('+1.') && isQuantity('1E')",
            "true"),
        CELRow(
            "isQuantity('20Mo') || isQuantity('10Mm') || isQuantity('') || isQuantity('.') || isQuantity('1 ') || isQuantity('1e') || isQuantity('200K') || isQuantity('--1')",
            "false"),
        CELRow(
            "quantity('10Mo')",
            "error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        CELRow("quantity('10Mm')", "error: unable to parse quantity's suffix"),
        CELRow("quantity('500000G').isInteger()", "true"), CELRow("quantity('50k').asInteger()", "50000"),
        CELRow("quantity('9999999999999999999999999999999999999G').isInteger()", "false"),
        CELRow("quantity('9999999999999999999999999999999999999G').asInteger()", "error: cannot convert value to integer"),
        CELRow("quantity('0.5').asInteger()", "error: cannot convert value to integer"),
        CELRow("quantity('50.703k').asApproximateFloat()", "50703.0"), CELRow("quantity('1500m').asApproximateFloat()", "1.5"),
        CELRow("quantity('1Ei').asInteger()", "1152921504606846976"),
        CELRow("quantity('50k').add(quantity('20')) == quantity('50.02k')", "true"),
        CELRow("quantity('50k').sub(20000) == quantity('30k')", "true"),
        CELRow("quantity('50k').add(20).sub(quantity('100k')).sub(-50000).asInteger()", "20"),
        CELRow("quantity('200M').compareTo(quantity('0.2G'))", "0"), CELRow("quantity('50M').compareTo(quantity('50Mi'))", "-1"),
        CELRow("quantity('150Mi').isGreaterThan(quantity('100Mi'))", "true"),
        CELRow("quantity('50M').isLessThan(quantity('100M'))", "true"),
        CELRow("[quantity('-1').sign(), quantity('0').sign(), quantity('1n').sign()]", "[-1, 0, 1]"),
        CELRow("quantity('0.1n') == quantity('1n')", "true"), CELRow("quantity('-0.1n') == quantity('-1n')", "true"),
        CELRow("quantity('1e-3') == quantity('1m')", "true"),
        CELRow("quantity('0.00000000000000000001Ei').asApproximateFloat()", "0.011529216"),
        CELRow("quantity('1e999999999999').isGreaterThan(quantity('9E'))", "true"),
        CELRow("quantity('1e-999999999999').compareTo(quantity('1n'))", "0"),
        CELRow("quantity('000000000000000000000000000000000001')==quantity('1')", "true"),
        CELRow("quantity('1.5') == quantity('1500m') && quantity('1Ki') == quantity('1024')", "true"),
        CELRow("isQuantity([1])", "1:11: found no matching overload for 'isQuantity' applied to '(list(int))'"),
    ])
    func quantities(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test(arguments: [
        "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP(':::1') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('01.2.3.4')",
        "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') && !ip.isCanonical('2001:db8::0:0:0:abcd')",
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6",
        "ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('::1').isUnspecified() && !ip('127.0.0.1').isUnspecified()",
        "ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && !ip('192.168.0.1').isLoopback() && !ip('2001:db8::abcd').isLoopback()",
        "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast() && !ip('fd00::1').isLinkLocalMulticast()",
        "ip('169.254.169.254').isLinkLocalUnicast() && !ip('192.168.0.1').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && !ip('fd80::1').isLinkLocalUnicast()",
        "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast() && ip('2001:db8::abcd').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
        "string(ip('2001:DB8::1')) == '2001:db8::1' && string(cidr('10.0.0.1/8')) == '10.0.0.1/8'",
        "type(ip('::1')) == net.IP && type(cidr('::/0')) == net.CIDR",
        "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('::1/129') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/08') && !isCIDR('10.0.0.0/+8')",
        "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP(ip('192.168.1.1')) && cidr('192.168.0.0/24').containsIP('192.168.0.1') && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
        "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24')) && !cidr('192.168.1.0/24').containsCIDR(cidr('192.168.2.0/24')) && cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24') && !cidr('192.168.0.0/24').containsCIDR('192.168.0.0/16')",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('::1/128').ip().family() == 6",
        "cidr('192.168.0.0/24') == cidr('192.168.0.0/24').masked() && cidr('192.168.0.1/24') != cidr('192.168.0.1/24').masked() && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
        "cidr('192.168.0.0/16').prefixLength() == 16 && cidr('::1/128').prefixLength() == 128",
        "!cidr('0.0.0.0/0').containsIP('::1')",
        "isSemver('1.0.0') && isSemver('0.1.0-alpha.1+b.c') && !isSemver('hello') && !isSemver('v1.0') && !isSemver('1.0') && !isSemver('01.0.0') && !isSemver('1.0.0-') && !isSemver('1.0.0-01') && !isSemver('1.0.0+')",
        "isSemver('v1.0', true) && semver('v1.0.0', true) == semver('1.0.0') && semver('1', true) == semver('1.0.0') && semver('01.01.01', true) == semver('1.1.1') && !isSemver('1.0-rc', true) && semver('v0.00.0', true) == semver('0.0.0')",
        "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
        "semver('1.2.3').compareTo(semver('1.2.3')) == 0 && semver('1.2.3').compareTo(semver('2.0.0')) == -1 && semver('1.2.3').compareTo(semver('0.1.2')) == 1",
        "semver('1.0.0-alpha').isLessThan(semver('1.0.0-alpha.1')) && semver('1.0.0-alpha.1').isLessThan(semver('1.0.0-alpha.beta')) && semver('1.0.0-rc.2').isLessThan(semver('1.0.0-rc.11')) && semver('1.0.0').isGreaterThan(semver('1.0.0-rc.1'))",
        "semver('1.0.0+a') == semver('1.0.0+a')",
    ])
    func `addresses and versions`(expression: String) {
        #expect(celResult(expression) == "true")
    }

    @Test func `what is no address says so`() {
        #expect(celResult("ip('::ffff:1.2.3.4')") == "error: IPv4-mapped IPv6 address \"::ffff:1.2.3.4\" is not allowed")
        #expect(
            celResult("ip('127.0.0.256')").hasPrefix(
                "error: IP Address \"127.0.0.256\" parse error during conversion from string"))
        #expect(celResult("cidr('10.0.0.0/33')").hasPrefix("error: network address parse error during conversion from string"))
        #expect(celResult("cidr('10.0.0.0/8').containsIP('x')").hasPrefix("error: IP Address \"x\" parse error"))
    }

    @Test(arguments: [
        ("dns1123Label", ["my-label-name", "1"], ["My", "-a", "a-", "a.b", "", String(repeating: "a", count: 64)]),
        ("dns1123Subdomain", ["apiextensions.k8s.io"], ["a..b", "A", ".a", ""]), ("dns1035Label", ["my-label"], ["1a", "a.b"]),
        ("qualifiedName", ["a/B_c.d", "Name"], ["a/b/c", "/b", "a/", "a/-", "A_/b"]),
        ("dns1123LabelPrefix", ["my-label-prefix-"], ["-", "Ab-"]),
        ("dns1123SubdomainPrefix", ["mysubdomain.prefix-"], ["a..b-"]), ("dns1035LabelPrefix", ["my-label-prefix-"], ["1b-"]),
        ("labelValue", ["", "My_Value.1"], ["-a", "a b", String(repeating: "a", count: 64)]),
        ("uri", ["http://example.com", "/a"], ["a", ""]),
        (
            "uuid", ["123e4567-e89b-12d3-a456-426614174000", "123E4567e89b12d3a456426614174000"],
            ["123e4567-e89b-12d3-a456-42661417400", "x"]
        ),
        ("byte", ["aGVsbG8="], ["a", "aGVsbG8", ""]), ("date", ["2021-01-01"], ["2021-02-30", "2021-1-1"]),
        ("datetime", ["2021-01-01T00:00:00Z"], ["2021-01-01"]),
    ])
    func formats(name: String, valid: [String], invalid: [String]) throws {
        for text in valid {
            #expect(celResult("format.\(name)().validate(x)", ["x": (.string, .string(text))]) == "optional.none", "\(text)")
        }
        for text in invalid {
            #expect(
                celResult("format.named('\(name)').value().validate(x).hasValue()", ["x": (.string, .string(text))]) == "true",
                "\(text)")
        }
    }

    @Test func `complaints about names are those of Kubernetes`() {
        #expect(celResult("format.named('nosuch')") == "optional.none")
        // As recorded from an API server for the names of Pods and their containers (vectors/kubeapi).
        #expect(
            celResult("format.dns1123Label().validate('Bad_').value()[0]")
                == "'a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
                + "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')'"
        )
        #expect(
            celResult("format.dns1123Subdomain().validate('Bad_').value()[0]")
                == "'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
                + "alphanumeric character (e.g. 'example.com', regex used for validation is "
                + #"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')'"#)
    }
}

@Suite struct `CEL authorizer` {
    /// Allows reading, and remembers nothing.
    struct Readers: CELAuthorizer {
        func decide(_ question: CELAuthorizationQuestion) -> CELAuthorizationDecision {
            if question.verb == "explode" { return CELAuthorizationDecision(isAllowed: false, error: "no answer") }
            return CELAuthorizationDecision(isAllowed: question.verb == "get", reason: "\(question)")
        }
    }

    func ask(_ expression: String) -> String {
        celResult(expression, ["authorizer": (.opaque(.authorizer), .opaque(.authorization(CELAuthorization(Readers()))))])
    }

    @Test func `a question is put together step by step`() {
        #expect(ask("authorizer.group('').resource('pods').namespace('default').check('get').allowed()") == "true")
        #expect(ask("authorizer.group('').resource('pods').check('create').allowed()") == "false")
        var resource = CELAuthorizationQuestion.Resource(group: "apps", resource: "deployments")
        resource.subresource = "scale"
        resource.namespace = "ns"
        resource.name = "web"
        resource.fieldSelector = "a=b"
        resource.labelSelector = "c=d"
        let question = CELAuthorizationQuestion(
            serviceAccount: .init(namespace: "ns", name: "sa"), target: .resource(resource), verb: "get")
        let expression =
            "authorizer.serviceAccount('ns', 'sa').group('apps').resource('deployments').subresource('scale').namespace('ns').name('web')"
            + ".fieldSelector('a=b').labelSelector('c=d').check('get').reason()"
        #expect(ask(expression) == "'\(question)'")
        let path = CELAuthorizationQuestion(serviceAccount: nil, target: .path("/healthz"), verb: "get")
        #expect(ask("authorizer.path('/healthz').check('get').reason()") == "'\(path)'")
        #expect(ask("authorizer.path('/x').check('explode').errored()") == "true")
        #expect(ask("authorizer.path('/x').check('explode').error()") == "'no answer'")
    }

    @Test func `senseless questions are refused`() {
        #expect(ask("authorizer.path(' ')") == "error: path must not be empty")
        #expect(ask("authorizer.group('').resource('')") == "error: resource must not be empty")
        #expect(
            ask("authorizer.serviceAccount('not@a#valid!namespace', 'validname')") == "error: Invalid service account namespace")
        #expect(ask("authorizer.serviceAccount('default', 'invalid@*name')") == "error: Invalid service account name")
        #expect(
            ask("authorizer.group('').check('get')")
                == "1:27: found no matching overload for 'check' applied to 'kubernetes.authorization.GroupCheck.(string)'")
        #expect(ask("dyn(authorizer.group('')).resource('pods').check('get').allowed()") == "true")
    }

    @Test func `an expression can ask twice`() {
        let once = "authorizer.path('/x').check('get').allowed()"
        #expect(ask("\(once) && \(once)") == "true")
        #expect(ask("\(once) && \(once) && \(once)") == "error: operation cancelled: actual cost limit exceeded")
    }
}
