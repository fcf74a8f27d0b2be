#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# TLS as nbdkit does it: only clients with TLS, and with --tls-verify-peer only those of our authority.
# shellcheck disable=SC2016 # commands of --run are expanded by their own shell
set -euo pipefail
# shellcheck source=tests/system/nbd-lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/nbd-lib.sh"
requires certtool

new_volume vol

# key_and_cert FOLDER NAME TEMPLATE_LINE...: NAME-key.pem and NAME-cert.pem, signed by the authority of FOLDER.
key_and_cert() {
	local key=$1/$2-key.pem sign=(--generate-self-signed)
	printf '%s\n' "${@:3}" >template
	[[ $2 == ca ]] ||
		sign=(--generate-certificate --load-ca-certificate "$1/ca-cert.pem" --load-ca-privkey "$1/ca-key.pem")
	run_status 0 certtool --generate-privkey --ecc --outfile "$key"
	run_status 0 certtool "${sign[@]}" --load-privkey "$key" --template template --outfile "$1/$2-cert.pem"
}

mkdir certs stranger nobody
for dir in certs stranger; do
	key_and_cert $dir ca "cn = tests" ca cert_signing_key
	key_and_cert $dir client "cn = client" tls_www_client signing_key encryption_key
done
key_and_cert certs server "cn = localhost" "dns_name = localhost" "ip_address = 127.0.0.1" \
	tls_www_server signing_key encryption_key
cp certs/ca-cert.pem nobody   # knows the server and has no name
cp certs/ca-cert.pem stranger # knows the server and has a name from another authority

# serve_port TARGET OPTION...: on a port that is free.
serve_port() {
	for _ in {1..20}; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	serve "$@" --port "$port"
}

serve_port vol --tls-certificates "$tmp/certs"
assert_equal "the URI" "$uri" "nbds://localhost:$port"
run_status 0 nbdinfo --size "$uri?tls-certificates=$tmp/certs"
run_status 0 nbdinfo --size "$uri?tls-certificates=$tmp/nobody"
run_status 1 nbdinfo --size "nbd://localhost:$port"
stop

serve_port vol --tls-certificates "$tmp/certs" --listen 127.0.0.1 --tls-verify-peer
assert_equal "the URI" "$uri" "nbds://127.0.0.1:$port"
run_status 0 nbdinfo --size "$uri?tls-certificates=$tmp/certs"
run_status 1 nbdinfo --size "$uri?tls-certificates=$tmp/nobody"
run_status 1 nbdinfo --size "$uri?tls-certificates=$tmp/stranger"
stop

serve vol --tls-certificates "$tmp/certs"
run_status 1 nbdinfo --size "nbd${uri#nbds}"
stop
run_status 0 untorn serve vol --tls-certificates "$tmp/certs" --run 'echo "$tls ${uri%%:*}"'
assert_equal "TLS in --run" "$out" "2 nbds+unix"
