package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mems/internal/backup"
)

// restoreFiles restores files written by an attacker who has access to the backup folder.
func restoreFiles(ctx context.Context, f *field) (string, error) {
	database, err := f.newDatabase(ctx, "restored")
	if err != nil {
		return "", err
	}
	witness := filepath.Join(f.dir, "pwned")
	keys := "MEMS_AUDIT_KEYS=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("attack! "), 4))
	insert := "INSERT INTO `doctors` (`id`) VALUES (1);\n"
	dumps := map[string]string{
		"shell": "\\! touch " + witness + "\n", "shell within": insert + "\\! touch " + witness + "\n" + insert,
		"system": "system touch " + witness + "\n", "source": "source /etc/passwd\n", "pager": "pager touch " + witness + "\n", "tee": "\\T " + witness + "\n",
		"grant": "GRANT ALL ON *.* TO 'evil'@'%';\n", "user": "CREATE USER 'evil'@'%';\n", "load": "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE doctors;\n",
		"outfile": "SELECT 1 INTO OUTFILE '" + witness + "';\n", "use": "USE mysql;\n", "drop": "DROP DATABASE mems;\n",
		"comment": "/*!50000 GRANT ALL ON *.* TO 'evil'@'%' */;\n", "two in one": strings.TrimSuffix(insert, "\n") + " DROP TABLE doctors;\n",
		"function": "INSERT INTO `doctors` (`id`) VALUES (LOAD_FILE('/etc/passwd'));\n", "select": "INSERT INTO `doctors` (`id`) SELECT 1;\n",
		"definer": "CREATE DEFINER=`root`@`localhost` PROCEDURE p() DROP TABLE doctors;\n", "event": "CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO DELETE FROM api_keys;\n",
	}
	tried := 0
	try := func(name string, file []byte, env ...string) error {
		tried++
		path := filepath.Join(f.dir, fmt.Sprintf("hostile-%d", tried))
		if err := os.WriteFile(path, file, 0o600); err != nil {
			return err
		}
		out, err := f.mems(ctx, append(env, "MEMS_DATABASE_URL="+database), "restore", "--without-revocations", path)
		if _, found := os.Stat(witness); found == nil {
			return fmt.Errorf("%s: a command of the file was run", name)
		}
		if err == nil {
			return fmt.Errorf("%s: the file was taken: %s", name, out)
		}
		if strings.Contains(out, "panic") {
			return fmt.Errorf("%s: %s", name, out)
		}
		return nil
	}
	for name, dump := range dumps {
		if f.spoil {
			dump = "" // nothing hostile
		}
		file, err := backupOf(dump)
		if err != nil {
			return "", err
		}
		if err := try(name, file); err != nil {
			return "", err
		}
	}
	// A valid backup, modified, truncated, and without a signature.
	good := filepath.Join(f.dir, "good")
	if out, err := f.mems(ctx, []string{keys}, "backup", good); err != nil {
		return "", fmt.Errorf("make a backup: %w\n%s", err, out)
	}
	text, err := os.ReadFile(good) //nolint:gosec // G304: our own
	if err != nil {
		return "", err
	}
	unsigned, err := backupOf(insert)
	if err != nil {
		return "", err
	}
	altered := bytes.Clone(text)
	altered[len(altered)/2] ^= 1
	for name, file := range map[string][]byte{"altered": altered, "cut off": text[:len(text)/2], "empty": {}, "unsigned": unsigned, "no gzip": []byte("\\! touch " + witness)} {
		if err := try(name, file, keys); err != nil {
			return "", err
		}
	}
	db, err := sql.Open("mysql", f.db.DSN(""))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	var users int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM mysql.user WHERE user = 'evil'`).Scan(&users); err != nil {
		return "", err
	}
	if users > 0 {
		return "", errors.New("a file made a user of the database")
	}
	if out, err := f.mems(ctx, []string{keys, "MEMS_DATABASE_URL=" + database}, "restore", good); err != nil {
		return "", fmt.Errorf("the good backup is refused, so the refusals show nothing: %w\n%s", err, out)
	}
	return fmt.Sprintf("%d files refused, nothing was run; the good one is taken", tried), nil
}

// backupOf returns a file with a correct hash, which anybody can compute.
func backupOf(dump string) ([]byte, error) {
	var b bytes.Buffer
	w, err := backup.NewWriter(&b, backup.Head{At: time.Now().UTC(), Schema: 1, Program: "attack"}, nil)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(dump)); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}
