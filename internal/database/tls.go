package database

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// TrustCA registers "tls=mems" for DSNs: encrypted, with a server certificate signed for
// its name by one of these authorities (PEM).
func TrustCA(pem []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("no PEM certificate found")
	}
	return mysql.RegisterTLSConfig("mems", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
}
