package db

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// Trouble is a kind of failure between this program and its database.
type Trouble struct {
	Kind string // a few words, for logs
	Mend string // a sentence's part: what to do
}

// The kinds, each with its way out. docs/troubleshooting.md shows them.
var (
	troubleRefused   = Trouble{"nobody listens", "start the database, or mend host and port in DATABASE_URL"}
	troubleHost      = Trouble{"unknown host", "mend the host in DATABASE_URL: no such name is known here"}
	troubleSilent    = Trouble{"no answer", "a firewall, a wrong address, or a network that is down: ask from this machine with pg_isready"}
	troubleTLS       = Trouble{"encryption", "set DATABASE_CA_CERT to the certificate of whoever runs the database, and use the host name that its certificate is for; if it offers no TLS, switch it on there"}
	troublePassword  = Trouble{"password or role", "mend user and password in DATABASE_URL; signs such as @ : / # % in a password are written as %40 %3A %2F %23 %25"}
	troubleDatabase  = Trouble{"no such database", "mend the database's name in DATABASE_URL, or make it: CREATE DATABASE ... ENCODING 'UTF8'"}
	troubleFull      = Trouble{"too many connections", "add pool_max_conns=N to DATABASE_URL, or raise max_connections; `chartroom check` counts what is needed"}
	troubleStarting  = Trouble{"starting or stopping", "wait: it is tried again"}
	troubleReadOnly  = Trouble{"read-only server", "this is a standby: lead DATABASE_URL to the primary, or name all hosts and add target_session_attrs=read-write"}
	troublePooler    = Trouble{"pooler", "a pooler of transactions stands between: add default_query_exec_mode=exec to DATABASE_URL, and set DATABASE_MIGRATE_URL to the database's own address"}
	troublePrivilege = Trouble{"not allowed", "the role lacks a right: let `chartroom migrate` run with the tables' owner in DATABASE_MIGRATE_URL, which grants what is needed"}
	troubleNetwork   = Trouble{"cut off", "the connection broke: it is tried again; if it stays so, look at the network and the database's own log"}
)

// Diagnose sorts an error on the way to the database, or from it, into a kind. ok is false for what is none of them, such as a fault of a
// statement.
func Diagnose(err error) (t Trouble, ok bool) {
	if err == nil {
		return Trouble{}, false
	}
	for _, answer := range answers(err) {
		if t, ok := diagnoseCode(answer.Code, answer.Message); ok {
			return t, true
		}
	}
	var dns *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return troubleHost, true
	case isTLS(err):
		return troubleTLS, true
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist): // of a Unix socket
		return troubleRefused, true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout(), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return troubleSilent, true
	case errors.As(err, &network), Unavailable(err):
		return troubleNetwork, true
	}
	return Trouble{}, false
}

func diagnoseCode(code, message string) (Trouble, bool) {
	switch code {
	case "28P01", "28000":
		if strings.Contains(message, "no encryption") || strings.Contains(message, "SSL off") {
			return troubleTLS, true
		}
		return troublePassword, true
	case "3D000":
		return troubleDatabase, true
	case "53300":
		return troubleFull, true
	case "57P01", "57P02", "57P03":
		return troubleStarting, true
	case "25006":
		return troubleReadOnly, true
	case "26000", "42P05": // a prepared statement that another connection has, or had
		return troublePooler, true
	case "08P01":
		if strings.Contains(message, "startup parameter") {
			return troublePooler, true
		}
	case "42501":
		return troublePrivilege, true
	}
	return Trouble{}, false
}

func isTLS(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify) || errors.As(err, &alert) ||
		errors.As(err, &record) || strings.Contains(err.Error(), "server refused TLS connection")
}

// hopeless says that waiting does not help.
func (t Trouble) hopeless() bool {
	return t == troubleTLS || t == troublePassword || t == troubleDatabase || t == troublePooler || t == troublePrivilege
}

// explained is an error on the way to the database as one sentence, with the way out, and without the address.
type explained struct {
	text string
	err  error
}

func (e explained) Error() string { return e.text }
func (e explained) Unwrap() error { return e.err }

func explain(doing string, err error) error {
	err = hideAddress(err)
	text := doing + ": " + oneLine(err.Error())
	if t, ok := Diagnose(err); ok {
		text += " (" + t.Kind + "): " + t.Mend
	}
	return explained{text, err}
}
