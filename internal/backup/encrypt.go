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

// encrypted is how a file of age begins.
const encrypted = "age-encryption.org/v1\n"

// exampleKey is the public key that age's documentation shows. Its private key is not
// here, and a backup encrypted to it is lost.
const exampleKey = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

// ErrExampleKey is an error of ParseRecipients.
var ErrExampleKey = errors.New("age1ql3z7hjy... is the example in the documentation of age, not a key of yours: " +
	"\"age-keygen -o key.txt\" makes one and prints it")

// Errors of Open.
var (
	ErrEncrypted     = errors.New("it is encrypted, and no identity is given")
	ErrOtherIdentity = errors.New("it is encrypted to another key than those of the identities given")
)

// ParseRecipients reads public keys (age1...), separated by commas, spaces or lines;
// @FILE reads them from a file. Empty text has none. Errors: ErrExampleKey, those of age.
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

// DescribeEncryption says which keys a backup is encrypted to, by their beginnings.
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

// ReadIdentities reads private keys, as age-keygen writes them.
func ReadIdentities(file string) ([]age.Identity, error) {
	content, err := os.ReadFile(file) //nolint:gosec // G304: named by the operator
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(content), encrypted) || strings.HasPrefix(string(content), "-----BEGIN AGE") {
		return nil, fmt.Errorf("%s is protected by a passphrase: decrypt it first, with age --decrypt", file)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(content))
	if err != nil { // which repeats a part of the file
		return nil, fmt.Errorf("%s holds no identity (a line AGE-SECRET-KEY-1..., as age-keygen writes it)", file)
	}
	return identities, nil
}

// Encrypt returns what encrypts to w; without recipients, what is written goes to w
// as it is. Closing it ends the encryption, and leaves w open.
func Encrypt(w io.Writer, to []age.Recipient) (io.WriteCloser, error) {
	if len(to) == 0 {
		return nopCloser{w}, nil
	}
	return age.Encrypt(w, to...)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Open goes to the beginning of a file and returns a reader of the backup in it,
// decrypted where it is encrypted. Verify and Rows read what it returns.
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
		return nil, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	return plain, nil
}
