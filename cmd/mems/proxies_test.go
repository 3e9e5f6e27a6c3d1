//go:build proxies

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mems/internal/storetest"
)

// A proxy is a shipped example, with ports and paths adapted to this machine.
type proxy struct {
	example string
	command []string                        // followed by the path of the configuration
	replace func(r places) []string         // pairs for strings.NewReplacer; each must occur
	wrap    func(config, dir string) string // adds what the distribution has around the example
}

type places struct {
	listen  string // of the proxy
	servers []string
	dir     string // holds cert.pem, key.pem and both in mems.pem
}

var proxies = map[string]proxy{
	"nginx": {
		example: "nginx.conf", command: []string{"nginx", "-g", "daemon off;", "-e", "stderr", "-c"},
		replace: func(p places) []string {
			return []string{
				"listen 443 ", "listen " + p.listen + " ", "server 127.0.0.1:8080", "server " + p.servers[0],
				"/etc/ssl/mems", p.dir,
			}
		},
		wrap: func(config, dir string) string {
			user := ""
			if os.Getuid() == 0 {
				user = "user root root;\n" // other users cannot enter the test's directories
			}
			return user + "pid " + dir + "/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n" +
				"client_body_temp_path " + dir + "/body;\nproxy_temp_path " + dir + "/proxy;\nfastcgi_temp_path " + dir + "/fastcgi;\n" +
				"uwsgi_temp_path " + dir + "/uwsgi;\nscgi_temp_path " + dir + "/scgi;\n" + config + "}\n"
		},
	},
	"HAProxy": {
		example: "haproxy.cfg", command: []string{"haproxy", "-db", "-f"},
		replace: func(p places) []string {
			return []string{
				"bind :443 ", "bind " + p.listen + " ", "192.0.2.11:8080", p.servers[0], "192.0.2.12:8080", p.servers[1],
				"/etc/ssl/mems", p.dir,
			}
		},
	},
	"HAProxy, a cluster": {
		example: "../cluster/haproxy.cfg", command: []string{"haproxy", "-db", "-f"},
		replace: func(p places) []string {
			return []string{
				"bind :443 ", "bind " + p.listen + " ", "192.0.2.11:8080", p.servers[0], "192.0.2.12:8080", p.servers[1],
				"192.0.2.13:8080", p.servers[2], "/etc/ssl/mems", p.dir,
			}
		},
	},
	"Caddy": {
		example: "Caddyfile", command: []string{"caddy", "run", "--adapter", "caddyfile", "--config"},
		replace: func(p places) []string {
			return []string{
				"mems.example.org {", "https://" + p.listen + " {\n\ttls " + p.dir + "/cert.pem " + p.dir + "/key.pem",
				"127.0.0.1:8080", p.servers[0],
			}
		},
		wrap: func(config, _ string) string { return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + config },
	},
}

// Through each example, bookings, streams and MEMS' own refusals work, and MEMS learns the
// client's address even if the client sends a forged one.
func TestProxies(t *testing.T) {
	t.Parallel()
	for name, example := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClinicForRace(t, 0, 0, 0)
			env := []string{"MEMS_DATABASE_URL=" + c.DSN, "MEMS_TRUSTED_PROXIES=127.0.0.1", "MEMS_AUTH=required"}
			servers := []string{storetest.FreeAddress(t), storetest.FreeAddress(t), storetest.FreeAddress(t)}
			for _, address := range servers {
				startMEMS(t, append(env, "MEMS_HTTP_ADDR="+address)...)
			}
			client := startProxy(t, example, servers, env[0])

			events := listenForChanges(t, client)
			doctor := send(t, client, http.MethodPost, "/doctors", `{"full_name":"Dr.","specialization":"Any"}`).created(t)
			patient := send(t, client, http.MethodPost, "/patients", `{"first_name":"P","last_name":"Q"}`).created(t)
			appointment := send(t, client, http.MethodPost, "/appointments", fmt.Sprintf(
				`{"patient_id":%d,"doctor_id":%d,"start_time":%q,"duration_minutes":30}`, patient, doctor, tomorrow().Format(time.RFC3339))).created(t)
			deadline := time.After(10 * time.Second)
			for want := fmt.Sprintf(`"object_id":%d,`, appointment); ; {
				select {
				case line := <-events:
					if strings.Contains(line, "appointment.booked") && strings.Contains(strings.ReplaceAll(line, "}", ","), want) {
						want = ""
					}
				case <-deadline:
					t.Fatal("no event of the booking in 10 s on an open stream, want one")
				}
				if want == "" {
					break
				}
			}
			r := send(t, client, http.MethodPost, "/patients", `{"first_name":"`+strings.Repeat("x", 2<<20)+`"}`)
			if r.status != http.StatusRequestEntityTooLarge || !strings.Contains(r.body, "/problems/") {
				t.Errorf("body that is too large = %d %s, want 413 with a problem", r.status, last(r.body, 300))
			}
			trail := send(t, client, http.MethodGet, "/audit", "").body
			if !strings.Contains(trail, `"address":"127.0.0.2"`) || strings.Contains(trail, "203.0.113.9") || strings.Contains(trail, `"127.0.0.1"`) {
				t.Errorf("audit trail, want the client 127.0.0.2 and no other address in it:\n%s", last(trail, 3000))
			}
		})
	}
}

// One of two servers behind HAProxy is restarted under load: no request fails.
func TestProxiesRestart(t *testing.T) {
	t.Parallel()
	c := newClinicForRace(t, 0, 0, 0)
	env := []string{"MEMS_DATABASE_URL=" + c.DSN, "MEMS_TRUSTED_PROXIES=127.0.0.1", "MEMS_AUTH=required", "MEMS_RATE_LIMIT=0", "MEMS_SHUTDOWN_DELAY=10s"}
	servers := []string{storetest.FreeAddress(t), storetest.FreeAddress(t)}
	one := startMEMS(t, append(env, "MEMS_HTTP_ADDR="+servers[0])...)
	startMEMS(t, append(env, "MEMS_HTTP_ADDR="+servers[1])...)
	client := startProxy(t, proxies["HAProxy"], servers, env[0])

	var sent atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				r, err := client.try(http.MethodPost, "/patients", fmt.Sprintf(`{"first_name":"P%d","last_name":"Q%d"}`, n, i))
				if err != nil || r.status != http.StatusCreated {
					t.Errorf("request %d of client %d: %v %+v, want 201", i, n, err, r)
					return
				}
				sent.Add(1)
				time.Sleep(20 * time.Millisecond) // two cores run the servers, too
			}
		})
	}
	more := func(when string) {
		t.Helper()
		since := sent.Load()
		for deadline := time.Now().Add(time.Minute); sent.Load() < since+40; time.Sleep(20 * time.Millisecond) {
			if t.Failed() || time.Now().After(deadline) {
				t.Errorf("%s: %d requests within a minute, want 40 and no failure", when, sent.Load()-since)
				return
			}
		}
	}
	more("with both")
	one.Signal(syscall.SIGTERM)
	if code := one.Wait(); code != exitOK {
		t.Errorf("exit code of the stopped server = %d, want %d", code, exitOK)
	}
	more("with one")
	startMEMS(t, append(env, "MEMS_HTTP_ADDR="+servers[0])...)
	more("with both again")
	stop()
	clients.Wait()
	t.Logf("%d requests", sent.Load())
}

// visitor is a client at 127.0.0.2 with an API key.
type visitor struct {
	http.Client
	base, key string
}

// startProxy starts a proxy and returns a client of it.
func startProxy(t *testing.T, p proxy, servers []string, database string) *visitor {
	t.Helper()
	at := places{listen: storetest.FreeAddress(t), servers: servers, dir: t.TempDir()}
	trusted := makeCertificate(t, at.dir)
	shipped, err := os.ReadFile("../../.deploy/proxies/" + p.example)
	if err != nil {
		t.Fatal(err)
	}
	pairs := p.replace(at)
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(shipped, []byte(pairs[i])) {
			t.Fatalf("%s lacks %q, want it", p.example, pairs[i])
		}
	}
	config := strings.NewReplacer(pairs...).Replace(string(shipped))
	if p.wrap != nil {
		config = p.wrap(config, at.dir)
	}
	file := filepath.Join(at.dir, filepath.Base(p.example))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(context.Background(), p.command[0], append(p.command[1:], file)...)
	cmd.Env = append(os.Environ(), "HOME="+at.dir, "XDG_DATA_HOME="+at.dir, "XDG_CONFIG_HOME="+at.dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.command[0], last(said.String(), 4000))
		}
	})
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	code, key := runMEMS(t, []string{"keys", "create", "--role", "admin", "visitor"}, database)
	if code != exitOK {
		t.Fatalf("mems keys create --role admin visitor: exit %d, want %d:\n%s", code, exitOK, key)
	}
	client := &visitor{http.Client{Transport: transport}, "https://" + at.listen, lastLine(key)}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if r, err := client.try(http.MethodGet, "/readyz", ""); err == nil && r.status == http.StatusOK {
			return client
		} else if time.Now().After(deadline) {
			t.Fatalf("%s is not ready within a minute: %v %+v", p.command[0], err, r)
		}
	}
}

// listenForChanges opens the stream of changes and returns a channel with its lines.
func listenForChanges(t *testing.T, client *visitor) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, client.base+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", client.key)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		for from := bufio.NewScanner(response.Body); from.Scan(); {
			lines <- from.Text()
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		reading.Wait()
	})
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET /stream = %d, want 200", response.StatusCode)
	}
	return lines
}

// reply is a response through the proxy.
type reply struct {
	status int
	body   string
}

// try sends a request with a forged client address.
func (v *visitor) try(method, path, body string) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, v.base+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("X-API-Key", v.key)
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := v.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, string(content)}, err
}

func send(t *testing.T, client *visitor, method, path, body string) reply {
	t.Helper()
	r, err := client.try(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// created returns the id of the created record.
func (r reply) created(t *testing.T) int64 {
	t.Helper()
	var made struct{ ID int64 }
	if err := json.Unmarshal([]byte(r.body), &made); err != nil || r.status != http.StatusCreated {
		t.Fatalf("POST = %d %s (%v), want 201", r.status, r.body, err)
	}
	return made.ID
}

// makeCertificate writes a certificate for 127.0.0.1 under the names in the examples.
func makeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": secret, "mems.pem": slices.Concat(cert, secret)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}
