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

// config is the whole configuration. The tags are the documentation: "mems
// help" prints them, and a test holds the README's table to them.
type config struct {
	HTTPAddr           string        `env:"MEMS_HTTP_ADDR" envDefault:"127.0.0.1:8080" doc:"address to listen on; port 0 takes a free one"`
	Auth               string        `env:"MEMS_AUTH" envDefault:"auto" doc:"auto, required or open: whether callers must authenticate; auto is required with MEMS_OIDC_ISSUER, else open on a loopback address"`
	AllowOpen          bool          `env:"MEMS_ALLOW_OPEN" envDefault:"false" doc:"allow an address that is not loopback without authentication, although anybody who reaches it may do anything"`
	OIDCIssuer         string        `env:"MEMS_OIDC_ISSUER" example:"https://login.example.org/realms/clinic" doc:"identity provider whose tokens are taken, by OpenID Connect discovery; empty takes API keys only"`
	OIDCAudience       string        `env:"MEMS_OIDC_AUDIENCE" envDefault:"mems" doc:"what tokens must be meant for"`
	OIDCRolesClaim     string        `env:"MEMS_OIDC_ROLES_CLAIM" envDefault:"roles" doc:"claim that lists roles; dots lead into objects, as in realm_access.roles"`
	OIDCDoctorClaim    string        `env:"MEMS_OIDC_DOCTOR_CLAIM" envDefault:"mems_doctor_id" doc:"claim with the id of the doctor who has the role doctor"`
	RateLimit          int           `env:"MEMS_RATE_LIMIT" envDefault:"1200" doc:"requests a minute of one caller, and of one address without a good credential, where a costly request counts as several (x-cost in the contract), 0 for any number to 1000000; none without authentication"`
	MaxAtOnce          int           `env:"MEMS_MAX_AT_ONCE" envDefault:"32" doc:"requests that are worked on at once, half of them writes, 1 to 10000, but always 4 fewer than MEMS_DATABASE_MAX_CONNS at most; more wait up to a tenth of MEMS_REQUEST_TIMEOUT, and then get 503"`
	PartnerLeadTime    time.Duration `env:"MEMS_PARTNER_LEAD_TIME" envDefault:"0s" doc:"partners with access to their own records only book no start that is sooner than this, up to 8760h; 0s: any"`
	PartnerHorizon     time.Duration `env:"MEMS_PARTNER_HORIZON" envDefault:"0s" doc:"such partners book no start that is later than this from now, up to 43800h, and longer than MEMS_PARTNER_LEAD_TIME; 0s: any"`
	AuditKeys          string        `env:"MEMS_AUDIT_KEYS" doc:"secrets of 32 bytes or more in base64, separated by commas, that bind the audit trail and seal API keys; the first one writes, all verify. To change it, append the new one, then put it first, and keep the former ones"`
	AuditKeysFile      string        `env:"MEMS_AUDIT_KEYS_FILE" example:"/run/secrets/audit-keys" doc:"file that holds MEMS_AUDIT_KEYS, instead of that variable"`
	RetainPatientYears int           `env:"MEMS_RETAIN_PATIENT_YEARS" envDefault:"0" doc:"mems retain erases patients of whom nothing was heard for so many years; 0 keeps them for ever, at most 100"`
	RetainAuditYears   int           `env:"MEMS_RETAIN_AUDIT_YEARS" envDefault:"0" doc:"mems retain removes entries of the audit trail that are older than so many years; 0 keeps them for ever, else 6 to 100"`
	TLSCertFile        string        `env:"MEMS_TLS_CERT_FILE" example:"/etc/mems/tls-cert.pem" doc:"file with the TLS certificate and its chain (PEM), with MEMS_TLS_KEY_FILE; read again when it changes; empty serves plain HTTP"`
	TLSKeyFile         string        `env:"MEMS_TLS_KEY_FILE" example:"/etc/mems/tls-key.pem" doc:"file with the certificate's private key (PEM), with MEMS_TLS_CERT_FILE"`
	TrustedProxies     string        `env:"MEMS_TRUSTED_PROXIES" example:"10.0.0.0/8" doc:"addresses or networks of reverse proxies, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed; empty: nobody's"`
	CORSOrigins        string        `env:"MEMS_CORS_ORIGINS" example:"https://desk.example.org" doc:"origins, separated by commas, whose pages may use the API from a browser: scheme, host and port, without patterns (*) or a path; empty: none but its own"`
	PublicURL          string        `env:"MEMS_PUBLIC_URL" example:"https://mems.example.org" doc:"scheme, host and port by which clients reach the server, for the links of FHIR answers; empty: the address that a client called, if it is this server's own beyond doubt, else links are relative (/fhir/...), as behind a proxy"`
	WebhookNetworks    string        `env:"MEMS_WEBHOOK_NETWORKS" example:"10.20.0.0/16" doc:"networks, separated by commas, that webhooks may be sent to although they are not public, and without https; empty: none"`
	RetainChangesDays  int           `env:"MEMS_RETAIN_CHANGES_DAYS" envDefault:"90" doc:"mems retain removes changes from the feed that are older than so many days and are not the last of their record; 0 keeps them for ever, at most 36500"`
	DatabaseURL        string        `env:"MEMS_DATABASE_URL" doc:"database to use, as mysql://user:password@host:3306/mems (of a cluster: host1:3306,host2:3306) or a go-sql-driver DSN; empty starts a private server"`
	DatabaseURLFile    string        `env:"MEMS_DATABASE_URL_FILE" example:"/run/secrets/database-url" doc:"file that holds MEMS_DATABASE_URL, instead of that variable"`
	DatabaseCAFile     string        `env:"MEMS_DATABASE_CA_FILE" doc:"file with the authorities (PEM) that sign the database server's certificate, for tls=mems in MEMS_DATABASE_URL; tls=true trusts those of the system"`
	ServiceDir         string        `env:"MEMS_SERVICE_DIR" envDefault:"/etc/mems" doc:"where commands beside serve find the settings (mems.env) and secrets of an installed service, when no database is named"`
	DataDir            string        `env:"MEMS_DATA_DIR" envDefault:".mems" doc:"where the private database server keeps its data"`
	DatabaseEngine     string        `env:"MEMS_DATABASE_ENGINE" envDefault:"auto" doc:"kind of private server: auto, mariadb or mysql"`
	DatabaseConns      int           `env:"MEMS_DATABASE_MAX_CONNS" envDefault:"32" doc:"at most so many connections to the database, 1 to 1000"`
	ClinicTimeZone     string        `env:"MEMS_CLINIC_TIME_ZONE" envDefault:"UTC" doc:"the clinic's time zone, an IANA name such as Europe/Zurich; decides which day a date means"`
	RequestTimeout     time.Duration `env:"MEMS_REQUEST_TIMEOUT" envDefault:"10s" doc:"a request that takes longer is answered with 503, 1s to 1m"`
	ShutdownDelay      time.Duration `env:"MEMS_SHUTDOWN_DELAY" envDefault:"0s" doc:"how long after SIGTERM requests are still accepted while /readyz reports 503, so that a load balancer stops sending them; up to 1m"`
	ShutdownTimeout    time.Duration `env:"MEMS_SHUTDOWN_TIMEOUT" envDefault:"20s" doc:"how long requests in flight may take after SIGTERM, up to 10m"`
	MaxBodyBytes       int64         `env:"MEMS_MAX_BODY_BYTES" envDefault:"65536" doc:"a larger request body is refused with 413, 1024 to 10485760"`
	LogLevel           string        `env:"MEMS_LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	LogFormat          string        `env:"MEMS_LOG_FORMAT" envDefault:"text" doc:"text or json"`
	MetricsAddr        string        `env:"MEMS_METRICS_ADDR" example:"127.0.0.1:9090" doc:"address to serve Prometheus metrics on, at /metrics; empty serves none"`
	StatusDir          string        `env:"MEMS_STATUS_DIR" example:"/var/lib/mems-status" doc:"directory in which mems backup and mems audit verify note their last success, for the metrics of serve and for node_exporter; empty: nowhere"`
	BackupEncryptTo    string        `env:"MEMS_BACKUP_ENCRYPT_TO" example:"age1..." doc:"public keys (age), separated by commas, that mems backup encrypts to, or @ and a file with one a line; empty: backups are not encrypted"`
	BackupCopyDir      string        `env:"MEMS_BACKUP_COPY_DIR" example:"/mnt/elsewhere/mems" doc:"directory on another machine's disk, into which mems backup and mems revocations copy what they wrote; it has to be there; empty: nowhere"`

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

// readConfig reads and checks the configuration. An error names the variable
// and what it takes, and never repeats the database URL, which holds a password.
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
		faults = append(faults, fmt.Errorf("%s is not a variable that MEMS knows; \"mems help\" lists them", name))
	}
	c.dataDirSet = given["MEMS_DATA_DIR"] != ""
	faults = append(append(faults, c.readSecretFiles()...), c.faults(given, unread)...)
	return c, errors.Join(faults...)
}

// refuse says which variable is wrong, how, and what would be right.
func refuse(field string, given map[string]string) error {
	f, _ := reflect.TypeFor[config]().FieldByName(field)
	name := f.Tag.Get("env")
	if secrets[name] {
		return fmt.Errorf("%s cannot be what it is (which is not shown here). It is: %s", name, f.Tag.Get("doc"))
	}
	return fmt.Errorf("%s cannot be %q. It is: %s. Example: %s=%s", name, given[name], f.Tag.Get("doc"), name, cmp.Or(f.Tag.Get("envDefault"), f.Tag.Get("example")))
}

// secrets are the variables whose values are shown to nobody: no flag sets them,
// for everybody on a machine can read command lines, and no message repeats them.
var secrets = map[string]bool{"MEMS_DATABASE_URL": true, "MEMS_AUDIT_KEYS": true}

// flagName is the flag that sets the same: --http-addr for MEMS_HTTP_ADDR. The
// database URL has none, since everybody on a machine can read command lines.
func (s setting) flagName() string {
	if secrets[s.name] {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.name, "MEMS_")), "_", "-")
}

// takeFlags moves the settings among args to the environment, where they win.
// What is left belongs to the command.
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
				return nil, nil, fmt.Errorf("%s needs a value. It is: %s", arg, all[i].meaning)
			}
			value, args = args[0], args[1:]
		}
		if value == "" { // as a variable that is not set leaves it
			return nil, nil, fmt.Errorf("--%s needs a value that is not empty. It is: %s", name, all[i].meaning)
		}
		env = append(env, all[i].name+"="+value)
	}
	return rest, env, nil
}

// ofOthers are names that are no settings of the program, but that the machine it
// runs on may well have: clients of the API and the Compose file use them.
var ofOthers = map[string]bool{
	"MEMS_URL": true, "MEMS_API_KEY": true, "MEMS_IMAGE": true, "MEMS_BACKUP_IMAGE": true,
}

// unknownVariables finds misspelt names: a setting that is silently ignored is
// worse than a server that does not start. MEMS_TEST_ belongs to the tests.
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

// faults are the values that can be read, but not used. The fields in unread were
// refused already.
func (c *config) faults(given map[string]string, unread map[string]bool) []error {
	var zoneErr, macErr error
	c.zone, zoneErr = clinic.LoadZone(c.ClinicTimeZone)
	_, proxiesErr := readNetworks(c.TrustedProxies)
	_, networksErr := readNetworks(c.WebhookNetworks)
	_, macErr = readMACKeys(c.AuditKeys)
	var recipientsErr error
	if !strings.HasPrefix(c.BackupEncryptTo, "@") { // else read when it is needed
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
		// "Local" would be whatever the machine thinks.
		{"ClinicTimeZone", zoneErr == nil && c.ClinicTimeZone != "Local"},
		{"RequestTimeout", time.Second <= c.RequestTimeout && c.RequestTimeout <= time.Minute},
		{"ShutdownDelay", 0 <= c.ShutdownDelay && c.ShutdownDelay <= time.Minute},
		{"ShutdownTimeout", 0 <= c.ShutdownTimeout && c.ShutdownTimeout <= 10*time.Minute},
		{"MaxBodyBytes", 1024 <= c.MaxBodyBytes && c.MaxBodyBytes <= 10<<20},
		{"LogLevel", slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel)},
		{"LogFormat", slices.Contains([]string{"text", "json"}, c.LogFormat)},
		{"BackupEncryptTo", recipientsErr == nil || errors.Is(recipientsErr, backup.ErrExampleKey)},
		{"MetricsAddr", c.MetricsAddr == "" || isAddress(c.MetricsAddr)},
	} {
		if rule.good || unread[rule.field] {
			continue
		}
		fault := refuse(rule.field, given)
		if rule.field == "AuditKeys" {
			fault = fmt.Errorf("%w. Here %w. To make one: openssl rand -base64 32", fault, macErr)
		}
		faults = append(faults, fault)
	}
	return faults
}

// isAddress tells whether s is host:port with a port in digits.
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

// isOrigin reports whether s is an Origin as browsers send it, which is compared
// letter by letter: lower case, no default port, no path, no pattern.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && s == u.Scheme+"://"+u.Host &&
		s == strings.ToLower(s) && !strings.Contains(u.Host, "*") &&
		u.Port() != map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// readNetworks reads addresses and networks.
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

// macKeys are the keys of the audit trail, which were checked.
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

// logger writes to stderr; stdout is for people.
func (p *program) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.LogLevel)) // checked
	return logsTo(p.err, p.LogFormat, level)
}
