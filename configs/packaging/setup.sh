#!/bin/sh
# Creates the user of the service, and at the first installation the key and an empty
# state file. It replaces neither: with one of them present it does nothing.
set -eu
state=/var/lib/strongroom/strongroom.db
key=/etc/strongroom/state.key

systemd-sysusers strongroom.conf
install -d -o strongroom -g strongroom -m 0700 /var/lib/strongroom
if [ -e "$state" ] || [ -e "$key" ] || [ -e "$key.cred" ]; then
	exit 0
fi
umask 077
head -c 32 /dev/urandom | base64 >"$key"
if ! CREDENTIALS_DIRECTORY=/etc/strongroom strongroom init --config /etc/strongroom/strongroom.yaml; then
	rm -f "$key"
	exit 1
fi
echo "strongroom: keep a copy of $key somewhere else, apart from backups of /var/lib/strongroom"
