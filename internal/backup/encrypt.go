package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
)

// encrypted is the beginning of an age file.
const encrypted = "age-encryption.org/v1\n"

// exampleKey is the public key in age's documentation. Nobody here has its private key, so
// a backup encrypted to it would be lost.
const exampleKey = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

// ErrExampleKey reports the example key in ParseRecipients.
var ErrExampleKey = errors.New("age1ql3z7hjy... is the example in the documentation of age, not a key of yours: " +
	"\"age-keygen -o key.txt\" creates one and prints it")

// Errors of Open.
var (
	ErrEncrypted     = errors.New("it is encrypted, and no private key was given")
	ErrOtherIdentity = errors.New("it is encrypted to a different key than those given")
)

// ParseRecipients parses public keys (age1...), separated by commas, spaces or newlines;
// @FILE reads them from a file. Empty text yields none. Errors: ErrExampleKey, those of
// age.
func ParseRecipients(text string) ([]age.Recipient, error) {
	if file, found := strings.CutPrefix(text, "@"); found {
		content, err := os.ReadFile(file) //nolint:gosec // G304: named by the operator
		if err != nil {
			return nil, err
		}
		return parseRecipients(bytes.NewReader(content))
	}
	keys := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(keys) == 0 {
		return nil, nil
	}
	return parseRecipients(strings.NewReader(strings.Join(keys, "\n")))
}

func parseRecipients(r io.Reader) ([]age.Recipient, error) {
	to, err := age.ParseRecipients(r)
	if err != nil {
		return nil, err
	}
	for _, recipient := range to {
		if fmt.Sprint(recipient) == exampleKey {
			return nil, ErrExampleKey
		}
	}
	return to, nil
}

// DescribeEncryption returns the first characters of the keys that a backup is encrypted
// to.
func DescribeEncryption(to []age.Recipient) string {
	if len(to) == 0 {
		return "not encrypted"
	}
	var keys []string
	for _, recipient := range to {
		keys = append(keys, fmt.Sprintf("%.12s...", fmt.Sprint(recipient)))
	}
	return "encrypted to " + strings.Join(keys, ", ")
}

// ReadIdentities reads private keys in age-keygen's format.
func ReadIdentities(file string) ([]age.Identity, error) {
	content, err := os.ReadFile(file) //nolint:gosec // G304: named by the operator
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(content), encrypted) || strings.HasPrefix(string(content), "-----BEGIN AGE") {
		return nil, fmt.Errorf("%s is protected by a passphrase: decrypt it first, with age --decrypt", file)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(content))
	if err != nil { // it quotes part of the file
		return nil, fmt.Errorf("%s has no private key (a line AGE-SECRET-KEY-1..., as written by age-keygen)", file)
	}
	return identities, nil
}

// Encrypt returns a writer that encrypts to w, or passes through without recipients.
// Closing it ends the encryption but does not close w.
func Encrypt(w io.Writer, to []age.Recipient) (io.WriteCloser, error) {
	if len(to) == 0 {
		return nopCloser{w}, nil
	}
	return age.Encrypt(w, to...)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Open returns a reader of the backup in a file, from its beginning, decrypted if
// necessary. It is the input of Verify and Rows.
//
// Errors: ErrEncrypted, ErrOtherIdentity.
func Open(f io.ReadSeeker, identities []age.Identity) (io.Reader, error) {
	begin := make([]byte, len(encrypted))
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	switch {
	case string(begin[:n]) != encrypted:
		return f, nil
	case len(identities) == 0:
		return nil, ErrEncrypted
	}
	plain, err := age.Decrypt(f, identities...)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, ErrOtherIdentity
	}
	if err != nil {
		return nil, fmt.Errorf("it is truncated or damaged: %w", err)
	}
	return plain, nil
}
