package backup_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"mems/internal/backup"
)

var head = backup.Head{At: time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC), Schema: 14, Program: "test"}

// made returns a backup that contains this dump.
func made(t testing.TB, dump string, key *backup.Key) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, head, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(dump)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rows returns all INSERT statements of a dump.
func rows(t testing.TB, dump string) (statements []string, err error) {
	t.Helper()
	for statement, failed := range backup.Rows(bytes.NewReader(made(t, dump, nil))) {
		if err = failed; err == nil {
			statements = append(statements, statement)
		}
	}
	return statements, err
}

// Dumps by either engine's tool are parsed; only their rows come out.
func TestRows(t *testing.T) {
	t.Parallel()
	// ~ stands for a backtick.
	dump := strings.ReplaceAll(`/*M!999999\- enable the sandbox mode */ 

-- Host: localhost    Database: mems
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
SET @saved_cs_client     = @@character_set_client;
CREATE TABLE ~doctors~ (
  ~id~ bigint NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (~id~),
  CONSTRAINT ~c~ CHECK (~id~ > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
/*!40000 ALTER TABLE ~doctors~ DISABLE KEYS */;
INSERT INTO ~doctors~ (~id~, ~name~) VALUES (1,'a'),(2,NULL),(-3,'it\'s \\'),(4,0xC0FFEE),(5,_binary 'x'),(1.5e-3,'''');
INSERT INTO ~rooms~ (~id~) VALUES
(1),
(2);
INSERT INTO ~old~ VALUES (1,';\n-- \! id');
/*!40000 ALTER TABLE ~doctors~ ENABLE KEYS */;
/*!50003 SET sql_mode              = 'STRICT_ALL_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=~root~@~localhost~*/ /*!50003 TRIGGER t BEFORE INSERT ON doctors FOR EACH ROW
BEGIN
  SIGNAL SQLSTATE '45000';
END */;;
DELIMITER ;
ALTER DATABASE ~mems~ CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci ;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
`, "~", "`")
	got, err := rows(t, dump)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d statements (%v), want 3: %q", len(got), err, got)
	}
	for _, statement := range got {
		if !strings.HasPrefix(statement, "INSERT INTO `") || !strings.HasSuffix(statement, ";") {
			t.Errorf("row = %q, want an INSERT that ends with a semicolon", statement)
		}
	}
}

// Everything else is rejected: commands of the client's shell, and statements that do more
// than insert literals.
func TestRowsRefuse(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`\! id > pwned`, `\. other.sql`, `\u mysql`, `source other.sql`, `system id`, `! id`,
		"GRANT ALL ON *.* TO 'evil'@'%';", "CREATE USER 'evil'@'%';", "LOAD DATA INFILE '/etc/passwd' INTO TABLE x;",
		"USE mysql;", "DROP DATABASE mems;", "DELIMITER $$", "CREATE TABLE `x` SELECT 1;", "CREATE TABLE `x` LIKE mysql.user;",
		"SET GLOBAL general_log_file = '/tmp/x'; SELECT 1;", "/*!50003 SET @a=1 */; DROP TABLE x;",
		"INSERT INTO `x` VALUES (LOAD_FILE('/etc/passwd'));", "INSERT INTO `x` VALUES (1); DROP TABLE `x`;",
		"INSERT INTO `x` SELECT * FROM mysql.user;", "INSERT INTO `mysql`.`user` VALUES (1);", "INSERT INTO x VALUES (1);",
		"INSERT INTO `x` VALUES (1) ON DUPLICATE KEY UPDATE a = SLEEP(9);", "INSERT INTO `x` VALUES (1,@@version);",
		"INSERT INTO `x` VALUES ('a' 'b');", "INSERT INTO `x` VALUES ('a'/*!,SLEEP(9)*/);", "INSERT INTO `x` VALUES (1)",
		"INSERT INTO `x` VALUES ('\\');", "INSERT INTO `x` VALUES ();", "INSERT INTO `x` VALUES (\"a\");",
		"CREATE TABLE `x` (\n  `id` int\n) ENGINE=FEDERATED CONNECTION='mysql://evil';",
		"CREATE TABLE `x` (\n  `id` int\n) ENGINE=InnoDB; DROP TABLE y;\n",
		"CREATE TABLE `x` (\n\\! id\n) ENGINE=InnoDB;", "CREATE TABLE `x` (\n",
		"DELIMITER ;;\nDROP TABLE x;;\nDELIMITER ;", "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 EVENT e */;;\nDELIMITER ;",
		"DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t */;;\nDELIMITER $$\n\\! id\nDELIMITER ;",
	} {
		if got, err := rows(t, line+"\n"); err == nil {
			t.Errorf("line %q is read as %q, want it refused", line, got)
		}
	}
}

// A signed backup is accepted only with its key; with keys, no other backup is.
func TestSignature(t *testing.T) {
	t.Parallel()
	one, two := backup.Key{ID: []byte{1}, Secret: []byte("one")}, backup.Key{ID: []byte{2}, Secret: []byte("two")}
	other := backup.Key{ID: one.ID, Secret: []byte("not one")}
	signed, plain := made(t, "", &one), made(t, "", nil)
	for name, tc := range map[string]struct {
		file     []byte
		keys     []backup.Key
		unsigned bool
		want     error
	}{
		"NoKeys":           {signed, nil, false, nil},
		"ItsKey":           {signed, []backup.Key{one}, false, nil},
		"RotatedKey":       {signed, []backup.Key{two, one}, false, nil},
		"OtherKey":         {signed, []backup.Key{two}, false, backup.ErrForged},
		"SameIDOtherKey":   {signed, []backup.Key{other}, false, backup.ErrForged},
		"ForgedIsNotPlain": {signed, []backup.Key{two}, true, backup.ErrForged},
		"Unsigned":         {plain, []backup.Key{one}, false, backup.ErrUnsigned},
		"UnsignedAllowed":  {plain, []backup.Key{one}, true, nil},
		"PlainNoKeys":      {plain, nil, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := backup.Verify(bytes.NewReader(tc.file), tc.keys, tc.unsigned)
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if err == nil && (got.Schema != head.Schema || !got.At.Equal(head.At)) {
				t.Errorf("head %+v, want %+v", got, head)
			}
		})
	}
}

// Parsing any input terminates, and every resulting statement is a single INSERT: outside
// of quoted text there is no ";" but the last, no comment, and no letters except in
// literals.
func FuzzRows(f *testing.F) {
	f.Add("INSERT INTO `x` (`a`) VALUES (1,'a\\'b',0xFF,NULL,_binary 'z'),(2,'''',-1.5e3,NULL,'');\n")
	f.Add("DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER t\nEND */;;\nDELIMITER ;\n")
	f.Add("CREATE TABLE `x` (\n  `id` int\n) ENGINE=InnoDB;\n")
	f.Fuzz(func(t *testing.T, dump string) {
		for statement, err := range backup.Rows(bytes.NewReader(packed(t, dump))) {
			if err != nil {
				return
			}
			if rest := outsideQuotes(statement); strings.Count(rest, ";") != 1 || strings.ContainsAny(rest, "@#*\\\"") ||
				strings.Contains(rest, "--") {
				t.Errorf("statement = %q, want an INSERT of literals alone", statement)
			}
		}
	})
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// outsideQuotes removes 'texts', parsed as the server does.
func outsideQuotes(statement string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(statement); i++ {
		switch c := statement[i]; {
		case inside && c == '\\':
			i++
		case c == '\'':
			inside = !inside
		case !inside:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// A file that is not encrypted is read unchanged, even a very short one.
func TestOpenPlain(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "x", strings.Repeat("plain ", 20)} {
		r, err := backup.Open(strings.NewReader(content), nil)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := io.ReadAll(r); err != nil || string(read) != content {
			t.Errorf("decrypted %q = %q, %v, want the same", content, read, err)
		}
	}
	if to, err := backup.ParseRecipients(" , "); err != nil || to != nil {
		t.Errorf("ParseRecipients(\" , \") = %v, %v, want none", to, err)
	}
}
