// Package clients lets clients of other makers read from this server and write to it: those of Vault and
// OpenBao, and clients generated from the served documents. Its tests run with make vault-clients and make
// clients only, which install them from their package registries.
package clients
