package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"mems/internal/auditchain"
	"mems/internal/backup"
	"mems/internal/clinic"
	"mems/internal/localdb"
)

// config is the whole configuration. The tags are the documentation: "mems help" prints
// them, and a test compares the README's table with them.
type config struct {
	HTTPAddr           string        `env:"MEMS_HTTP_ADDR" envDefault:"127.0.0.1:8080" doc:"listen address; port 0 picks a free port"`
	Auth               string        `env:"MEMS_AUTH" envDefault:"auto" doc:"whether callers must authenticate: auto, required or open; auto means required with MEMS_OIDC_ISSUER, otherwise open on a loopback address"`
	AllowOpen          bool          `env:"MEMS_ALLOW_OPEN" envDefault:"false" doc:"allow a non-loopback address without authentication, which gives everyone who can reach it full access"`
	OIDCIssuer         string        `env:"MEMS_OIDC_ISSUER" example:"https://login.example.org/realms/clinic" doc:"identity provider whose tokens are accepted, by OpenID Connect discovery; empty: API keys only"`
	OIDCAudience       string        `env:"MEMS_OIDC_AUDIENCE" envDefault:"mems" doc:"required audience of tokens"`
	OIDCRolesClaim     string        `env:"MEMS_OIDC_ROLES_CLAIM" envDefault:"roles" doc:"claim that lists roles; dots address nested objects, as in realm_access.roles"`
	OIDCDoctorClaim    string        `env:"MEMS_OIDC_DOCTOR_CLAIM" envDefault:"mems_doctor_id" doc:"claim with the doctor id of a caller with the role doctor"`
	RateLimit          int           `env:"MEMS_RATE_LIMIT" envDefault:"1200" doc:"requests per minute per caller, and per address without a valid credential; a costly request counts as several (x-cost in the contract); 0 to 1000000, 0 = unlimited; off when authentication is off"`
	MaxAtOnce          int           `env:"MEMS_MAX_AT_ONCE" envDefault:"32" doc:"requests processed concurrently, half of them writes, 1 to 10000, and always at least 4 fewer than MEMS_DATABASE_MAX_CONNS; further requests wait up to a tenth of MEMS_REQUEST_TIMEOUT, then get 503"`
	BookingBatches     bool          `env:"MEMS_BOOKING_BATCHES" envDefault:"true" doc:"decide bookings that arrive at the same time in one transaction, which saves the database work under load; each is decided by the same rules as alone"`
	PartnerLeadTime    time.Duration `env:"MEMS_PARTNER_LEAD_TIME" envDefault:"0s" doc:"minimum time between now and the start of a booking by a partner with access to its own records only, up to 8760h; 0s: no minimum"`
	PartnerHorizon     time.Duration `env:"MEMS_PARTNER_HORIZON" envDefault:"0s" doc:"maximum time between now and the start of a booking by such a partner, up to 43800h, and longer than MEMS_PARTNER_LEAD_TIME; 0s: no maximum"`
	AuditKeys          string        `env:"MEMS_AUDIT_KEYS" doc:"base64 secrets of at least 32 bytes, separated by commas, that authenticate the audit trail and seal API keys; the first one signs, all verify. To rotate, append the new one, then move it to the front, and keep the old ones"`
	AuditKeysFile      string        `env:"MEMS_AUDIT_KEYS_FILE" example:"/run/secrets/audit-keys" doc:"file with the value of MEMS_AUDIT_KEYS"`
	RetainPatientYears int           `env:"MEMS_RETAIN_PATIENT_YEARS" envDefault:"0" doc:"mems retain erases patients with no activity for this many years; 0 to 100, 0 = never"`
	RetainAuditYears   int           `env:"MEMS_RETAIN_AUDIT_YEARS" envDefault:"0" doc:"mems retain removes audit entries older than this many years; 6 to 100, or 0 = never"`
	TLSCertFile        string        `env:"MEMS_TLS_CERT_FILE" example:"/etc/mems/tls-cert.pem" doc:"file with the TLS certificate chain (PEM), with MEMS_TLS_KEY_FILE; reloaded when it changes; empty: plain HTTP"`
	TLSKeyFile         string        `env:"MEMS_TLS_KEY_FILE" example:"/etc/mems/tls-key.pem" doc:"file with the certificate's private key (PEM), with MEMS_TLS_CERT_FILE"`
	TrustedProxies     string        `env:"MEMS_TRUSTED_PROXIES" example:"10.0.0.0/8" doc:"addresses or networks of reverse proxies, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are trusted; empty: none"`
	CORSOrigins        string        `env:"MEMS_CORS_ORIGINS" example:"https://desk.example.org" doc:"origins, separated by commas, whose pages may call the API from a browser: scheme, host and port, without patterns (*) or a path; empty: same origin only"`
	PublicURL          string        `env:"MEMS_PUBLIC_URL" example:"https://mems.example.org" doc:"scheme, host and port under which clients reach the server, for links in FHIR responses; empty: the requested host if it is certainly this server's own, otherwise links are relative (/fhir/...), as behind a proxy"`
	WebhookNetworks    string        `env:"MEMS_WEBHOOK_NETWORKS" example:"10.20.0.0/16" doc:"non-public networks, separated by commas, that webhooks may be delivered to, also without https; empty: none"`
	RetainChangesDays  int           `env:"MEMS_RETAIN_CHANGES_DAYS" envDefault:"90" doc:"mems retain removes changes older than this many days from the feed, except the last one of each record; 0 to 36500, 0 = never"`
	DatabaseURL        string        `env:"MEMS_DATABASE_URL" doc:"database, as mysql://user:password@host:3306/mems (for a cluster: host1:3306,host2:3306) or a go-sql-driver DSN; empty: start a private server"`
	DatabaseURLFile    string        `env:"MEMS_DATABASE_URL_FILE" example:"/run/secrets/database-url" doc:"file with the value of MEMS_DATABASE_URL"`
	DatabaseCAFile     string        `env:"MEMS_DATABASE_CA_FILE" doc:"file with the CA certificates (PEM) that sign the database server's certificate, for tls=mems in MEMS_DATABASE_URL; tls=true uses the system's"`
	ServiceDir         string        `env:"MEMS_SERVICE_DIR" envDefault:"/etc/mems" doc:"where commands other than serve find the settings (mems.env) and secrets of an installed service when no database is given"`
	DataDir            string        `env:"MEMS_DATA_DIR" envDefault:".mems" doc:"data directory of the private database server"`
	DatabaseEngine     string        `env:"MEMS_DATABASE_ENGINE" envDefault:"auto" doc:"engine of the private database server: auto, mariadb or mysql"`
	DatabaseConns      int           `env:"MEMS_DATABASE_MAX_CONNS" envDefault:"32" doc:"maximum number of database connections, 1 to 1000"`
	ClinicTimeZone     string        `env:"MEMS_CLINIC_TIME_ZONE" envDefault:"UTC" doc:"the clinic's time zone, an IANA name such as Europe/Zurich; determines which day a date means"`
	RequestTimeout     time.Duration `env:"MEMS_REQUEST_TIMEOUT" envDefault:"10s" doc:"time limit for a request, which then gets 503; 1s to 1m"`
	ShutdownDelay      time.Duration `env:"MEMS_SHUTDOWN_DELAY" envDefault:"0s" doc:"how long requests are still accepted after SIGTERM while /readyz returns 503, so that a load balancer drains the server; up to 1m"`
	ShutdownTimeout    time.Duration `env:"MEMS_SHUTDOWN_TIMEOUT" envDefault:"20s" doc:"time limit for in-flight requests after SIGTERM, up to 10m"`
	MaxBodyBytes       int64         `env:"MEMS_MAX_BODY_BYTES" envDefault:"65536" doc:"maximum size of a request body, beyond which it gets 413; 1024 to 10485760"`
	LogLevel           string        `env:"MEMS_LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	LogFormat          string        `env:"MEMS_LOG_FORMAT" envDefault:"text" doc:"text or json"`
	MetricsAddr        string        `env:"MEMS_METRICS_ADDR" example:"127.0.0.1:9090" doc:"listen address for Prometheus metrics at /metrics; empty: off"`
	Profiling          bool          `env:"MEMS_PROFILING" envDefault:"false" doc:"serve Go profiles (pprof) at /debug/pprof/ of MEMS_METRICS_ADDR, for as long as a problem is being investigated"`
	StatusDir          string        `env:"MEMS_STATUS_DIR" example:"/var/lib/mems-status" doc:"directory in which mems backup and mems audit verify record their last success, for the metrics of serve and for node_exporter; empty: off"`
	BackupEncryptTo    string        `env:"MEMS_BACKUP_ENCRYPT_TO" example:"age1..." doc:"public keys (age), separated by commas, that mems backup encrypts to, or @ and a file with one per line; empty: backups are not encrypted"`
	BackupCopyDir      string        `env:"MEMS_BACKUP_COPY_DIR" example:"/mnt/elsewhere/mems" doc:"existing directory on another machine's disk to which mems backup and mems revocations copy their files; empty: no copy"`

	zone       *time.Location
	dataDirSet bool // DataDir is not the default
}

// setting is a row of the documentation.
type setting struct{ name, fallback, meaning string }

func (s setting) shown() string {
	if s.fallback == "" {
		return "empty"
	}
	return s.fallback
}

func settings() []setting {
	var all []setting
	for f := range reflect.TypeFor[config]().Fields() {
		if name := f.Tag.Get("env"); name != "" {
			all = append(all, setting{name, f.Tag.Get("envDefault"), f.Tag.Get("doc")})
		}
	}
	return all
}

// readConfig reads and checks the configuration. An error names the variable and its valid
// values, and never repeats the database URL, which holds a password.
func readConfig(environ []string) (config, error) {
	var c config
	given := env.ToMap(environ)
	var faults []error
	unread := map[string]bool{}
	var wrong env.AggregateError
	err := env.ParseWithOptions(&c, env.Options{Environment: given})
	if err != nil && !errors.As(err, &wrong) {
		return config{}, err
	}
	for _, e := range wrong.Errors {
		var parse env.ParseError
		if !errors.As(e, &parse) {
			return config{}, e
		}
		faults, unread[parse.Name] = append(faults, refuse(parse.Name, given)), true
	}
	for _, name := range unknownVariables(environ) {
		faults = append(faults, fmt.Errorf("unknown variable %s; see \"mems help\"", name))
	}
	c.dataDirSet = given["MEMS_DATA_DIR"] != ""
	faults = append(append(faults, c.readSecretFiles()...), c.faults(given, unread)...)
	return c, errors.Join(faults...)
}

// refuse returns the error for an invalid variable, with its valid values.
func refuse(field string, given map[string]string) error {
	f, _ := reflect.TypeFor[config]().FieldByName(field)
	name := f.Tag.Get("env")
	if secrets[name] {
		return fmt.Errorf("%s: invalid value, not shown here (expected %s)", name, f.Tag.Get("doc"))
	}
	return fmt.Errorf("%s: invalid value %q (expected %s), for example %s=%s", name, given[name], f.Tag.Get("doc"), name, cmp.Or(f.Tag.Get("envDefault"), f.Tag.Get("example")))
}

// secrets lists the variables with secret values: no flag sets them, because every user of
// a machine can read command lines, and no message repeats them.
var secrets = map[string]bool{"MEMS_DATABASE_URL": true, "MEMS_AUDIT_KEYS": true}

// flagName returns the flag of a variable: --http-addr for MEMS_HTTP_ADDR. Secrets have
// none.
func (s setting) flagName() string {
	if secrets[s.name] {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.name, "MEMS_")), "_", "-")
}

// takeFlags moves the settings among args to the environment, which they override, and
// returns the command's arguments.
func takeFlags(args, environ []string) (rest, env []string, err error) {
	env = slices.Clone(environ)
	all := settings()
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		i := slices.IndexFunc(all, func(s setting) bool { return s.flagName() == name })
		if !strings.HasPrefix(arg, "-") || name == "" || i < 0 {
			rest = append(rest, arg)
			continue
		}
		if !hasValue {
			if len(args) == 0 {
				return nil, nil, fmt.Errorf("%s: missing value (expected %s)", arg, all[i].meaning)
			}
			value, args = args[0], args[1:]
		}
		if value == "" { // a flag from an unset shell variable
			return nil, nil, fmt.Errorf("--%s: empty value (expected %s)", name, all[i].meaning)
		}
		env = append(env, all[i].name+"="+value)
	}
	return rest, env, nil
}

// ofOthers lists MEMS_ variables of other programs: clients of the API and the Compose
// file.
var ofOthers = map[string]bool{
	"MEMS_URL": true, "MEMS_API_KEY": true, "MEMS_IMAGE": true, "MEMS_BACKUP_IMAGE": true,
}

// unknownVariables returns misspelt names: a silently ignored setting is worse than a
// server that does not start. MEMS_TEST_ is for tests.
func unknownVariables(environ []string) []string {
	var unknown []string
	all := settings()
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "MEMS_") && !strings.HasPrefix(name, "MEMS_TEST_") && !ofOthers[name] &&
			!slices.ContainsFunc(all, func(s setting) bool { return s.name == name }) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// faults returns the values that can be parsed, but not used. The fields in unread have
// been reported already.
func (c *config) faults(given map[string]string, unread map[string]bool) []error {
	var zoneErr, macErr error
	c.zone, zoneErr = clinic.LoadZone(c.ClinicTimeZone)
	_, proxiesErr := readNetworks(c.TrustedProxies)
	_, networksErr := readNetworks(c.WebhookNetworks)
	_, macErr = readMACKeys(c.AuditKeys)
	var recipientsErr error
	if !strings.HasPrefix(c.BackupEncryptTo, "@") { // otherwise read when needed
		_, recipientsErr = backup.ParseRecipients(c.BackupEncryptTo)
	}
	issuer, issuerErr := url.Parse(c.OIDCIssuer)
	var faults []error
	if errors.Is(recipientsErr, backup.ErrExampleKey) {
		faults = append(faults, fmt.Errorf("MEMS_BACKUP_ENCRYPT_TO: %w", recipientsErr))
	}
	for _, rule := range []struct {
		field string
		good  bool
	}{
		{"HTTPAddr", isAddress(c.HTTPAddr)},
		{"Auth", slices.Contains([]string{"auto", "required", "open"}, c.Auth)},
		{"OIDCIssuer", c.OIDCIssuer == "" || issuerErr == nil && issuer.Host != "" && (issuer.Scheme == "https" || issuer.Scheme == "http" && isLoopback(issuer.Hostname()))},
		{"OIDCAudience", c.OIDCAudience != ""},
		{"RateLimit", 0 <= c.RateLimit && c.RateLimit <= 1_000_000},
		{"RetainPatientYears", 0 <= c.RetainPatientYears && c.RetainPatientYears <= 100},
		{"RetainAuditYears", c.RetainAuditYears == 0 || 6 <= c.RetainAuditYears && c.RetainAuditYears <= 100},
		{"MaxAtOnce", 1 <= c.MaxAtOnce && c.MaxAtOnce <= 10_000},
		{"PartnerLeadTime", 0 <= c.PartnerLeadTime && c.PartnerLeadTime <= 8760*time.Hour},
		{"PartnerHorizon", c.PartnerHorizon == 0 || c.PartnerLeadTime < c.PartnerHorizon && c.PartnerHorizon <= 43_800*time.Hour},
		{"AuditKeys", macErr == nil},
		{"TLSCertFile", c.TLSCertFile != "" || c.TLSKeyFile == ""},
		{"TLSKeyFile", c.TLSKeyFile != "" || c.TLSCertFile == ""},
		{"TrustedProxies", proxiesErr == nil},
		{"WebhookNetworks", networksErr == nil},
		{"RetainChangesDays", 0 <= c.RetainChangesDays && c.RetainChangesDays <= 36_500},
		{"CORSOrigins", !slices.ContainsFunc(c.corsOrigins(), func(o string) bool { return !isOrigin(o) })},
		{"PublicURL", c.PublicURL == "" || isOrigin(c.PublicURL)},
		{"DatabaseEngine", slices.Contains([]string{"auto", "mariadb", "mysql"}, c.DatabaseEngine)},
		{"DatabaseConns", 1 <= c.DatabaseConns && c.DatabaseConns <= 1000},
		// "Local" would depend on the machine.
		{"ClinicTimeZone", zoneErr == nil && c.ClinicTimeZone != "Local"},
		{"RequestTimeout", time.Second <= c.RequestTimeout && c.RequestTimeout <= time.Minute},
		{"ShutdownDelay", 0 <= c.ShutdownDelay && c.ShutdownDelay <= time.Minute},
		{"ShutdownTimeout", 0 <= c.ShutdownTimeout && c.ShutdownTimeout <= 10*time.Minute},
		{"MaxBodyBytes", 1024 <= c.MaxBodyBytes && c.MaxBodyBytes <= 10<<20},
		{"LogLevel", slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel)},
		{"LogFormat", slices.Contains([]string{"text", "json"}, c.LogFormat)},
		{"BackupEncryptTo", recipientsErr == nil || errors.Is(recipientsErr, backup.ErrExampleKey)},
		{"MetricsAddr", c.MetricsAddr == "" || isAddress(c.MetricsAddr)},
		{"Profiling", !c.Profiling || c.MetricsAddr != ""},
	} {
		if rule.good || unread[rule.field] {
			continue
		}
		fault := refuse(rule.field, given)
		if rule.field == "AuditKeys" {
			fault = fmt.Errorf("%w: %w. To create one: openssl rand -base64 32", fault, macErr)
		}
		faults = append(faults, fault)
	}
	return faults
}

// isAddress reports whether s is host:port with a numeric port.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	number, portErr := strconv.Atoi(port)
	return err == nil && portErr == nil && 0 <= number && number <= 65535
}

// open reports whether callers need not authenticate.
func (c *config) open() bool {
	return c.Auth == "open" || c.Auth == "auto" && c.OIDCIssuer == ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isOrigin reports whether s is an Origin exactly as browsers send it: lower case, without
// default port, path or pattern. Origins are compared as text.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && s == u.Scheme+"://"+u.Host &&
		s == strings.ToLower(s) && !strings.Contains(u.Host, "*") &&
		u.Port() != map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// readNetworks parses addresses and networks.
func readNetworks(list string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if address, err := netip.ParseAddr(text); err == nil {
			networks = append(networks, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func (c *config) corsOrigins() []string {
	return strings.FieldsFunc(c.CORSOrigins, func(r rune) bool { return r == ',' || r == ' ' })
}

// macKeys returns the keys of the audit trail, which have been checked.
func (c *config) macKeys() []auditchain.Key {
	keys, _ := readMACKeys(c.AuditKeys)
	return keys
}

func readMACKeys(text string) ([]auditchain.Key, error) {
	var keys []auditchain.Key
	for encoded := range strings.SplitSeq(text, ",") {
		if encoded = strings.TrimSpace(encoded); encoded == "" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("key %d is not base64", len(keys)+1)
		}
		if len(secret) < 32 {
			return nil, fmt.Errorf("key %d has %d bytes", len(keys)+1, len(secret))
		}
		keys = append(keys, auditchain.NewKey(secret))
	}
	return keys, nil
}

func (c *config) engine() localdb.Engine {
	if c.DatabaseEngine == "auto" {
		return localdb.Any
	}
	return localdb.Engine(c.DatabaseEngine)
}

// logger logs to stderr; stdout is for the command's output.
func (p *program) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.LogLevel)) // checked
	return logsTo(p.err, p.LogFormat, level)
}
