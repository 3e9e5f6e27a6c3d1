package database

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// TrustCA makes "tls=mems" in a DSN mean: encrypted, with a server whose
// certificate one of these authorities (PEM) has signed for its name.
func TrustCA(pem []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("there is no certificate (PEM) in it")
	}
	return mysql.RegisterTLSConfig("mems", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
}
