package auditchain

import (
	"encoding/json"
	"strconv"
	"time"
)

// Entry is an entry's row. The hash covers its JSON without id and hash, so its names must
// never change.
type Entry struct {
	ID         int64     `db:"id" json:"-"`
	Chain      int64     `db:"chain" json:"chain"`
	Seq        int64     `db:"seq" json:"seq"`
	At         time.Time `db:"at" json:"at"`
	Subject    string    `db:"subject" json:"subject"`
	Address    *string   `db:"address" json:"address"`
	RequestID  *string   `db:"request_id" json:"request_id"`
	Operation  string    `db:"operation" json:"operation"`
	Action     string    `db:"action" json:"action"`
	Object     string    `db:"object" json:"object"`
	ObjectID   *int64    `db:"object_id" json:"object_id"`
	PatientID  *int64    `db:"patient_id" json:"patient_id"`
	PatientIDs *string   `db:"patient_ids" json:"patient_ids"`
	Details    []byte    `db:"details" json:"details"`
	Secret     bool      `db:"secret" json:"secret"`
	MACKey     []byte    `db:"mac_key" json:"mac_key"`
	Hash       []byte    `db:"hash" json:"-"`
}

// sum returns the hash of an entry whose predecessor has the hash before.
func (e *Entry) sum(before []byte, key Key) []byte {
	encoded, err := json.Marshal(e)
	if err != nil {
		panic(err) // a time after the year 9999, which our tables cannot hold
	}
	h := key.newHash()
	_, _ = h.Write(before)
	_, _ = h.Write(encoded)
	return h.Sum(nil)
}

// Tip is the end of a chain.
type Tip struct {
	Chain, Seq int64
	Begin      []byte // the chain's initial hash
	Hash       []byte // hash of its last entry, or Begin
}

// Append makes e the next entry of the chain and advances the tip.
func (t *Tip) Append(key Key, e *Entry) {
	t.Seq++
	e.Chain, e.Seq, e.MACKey = t.Chain, t.Seq, key.ID
	e.Hash = e.sum(t.Hash, key)
	t.Hash = e.Hash
}

// The entry that records the pruning of a chain is a change of this kind of object; this
// member is the number of the last entry removed.
const (
	PruneObject = "audit_chain"
	PruneMember = "pruned_seq"
)

// prunedTo returns how far a chain was pruned according to an entry.
func (e *Entry) prunedTo() int64 {
	var details struct {
		Changes []struct {
			Member string  `json:"member"`
			After  *string `json:"after"`
		} `json:"changes"`
	}
	if json.Unmarshal(e.Details, &details) != nil {
		return 0
	}
	for _, c := range details.Changes {
		if c.Member == PruneMember && c.After != nil {
			if seq, err := strconv.ParseInt(*c.After, 10, 64); err == nil {
				return seq
			}
		}
	}
	return 0
}
