package apply

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A Handout keeps the secrets of the credentials that a restore makes. Nothing else ever holds one: no log, no
// index, no message.
type Handout interface {
	// Given returns the ID of the credential that was handed out for a step, by an earlier run too.
	Given(s plan.Step) (entra.ID, bool)
	// Give hands a credential out. When it returns without an error, a crash cannot lose it.
	Give(Issued) error
}

// An Issued is a credential that was just made. It is not to be printed.
type Issued struct {
	Step   plan.Step
	Object entra.Object       // that it belongs to, as it was just before
	Old    catalog.Credential // in whose place it is
	Key    entra.ID           // its own ID
	Ends   time.Time
	Secret string // the password, or the private key and the certificate as PEM
	// Void are credentials that were made for the step before, whose secrets nobody knows, and that were removed.
	Void []entra.ID
}

// String says what it is without its secret.
func (i Issued) String() string { return fmt.Sprintf("credential %s of %s", i.Key, i.Object.Ref) }

const (
	lasts   = 180 * 24 * time.Hour // of a credential whose forerunner has expired: what the service recommends at most
	keySize = 2048                 // bits of an RSA key: what every client can use
)

var errUntold = errors.New("the answer does not say which credential was made")

// alone waits until no other step changes the credentials of an object, and keeps others waiting until release.
func (u *run) alone(r entra.Ref) (release func()) {
	u.mu.Lock()
	if u.busy[r] == nil {
		u.busy[r] = make(chan struct{}, 1)
	}
	turn := u.busy[r]
	u.mu.Unlock()
	turn <- struct{}{}
	return func() { <-turn }
}

// replaces returns the credential in whose place an issue makes a new one.
func replaces(s plan.Step) (catalog.Credential, error) {
	all := catalog.Credentials(entra.Object{Ref: s.Ref, Body: body(s.Set)})
	if len(all) != 1 {
		return catalog.Credential{}, fmt.Errorf("step %d holds %d credentials, not one", s.Number, len(all))
	}
	return all[0], nil
}

// issue makes a new credential and hands it out. One that an earlier attempt made and did not hand out is told by the
// moment it begins at, which is when the attempt was written down; it is removed, since nobody knows its secret.
func (u *run) issue(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, entra.ID, error) {
	old, err := replaces(s)
	if err != nil {
		return Failed, "", err
	}
	ref := u.names().now(s.Ref, s.OfBase)
	defer u.alone(ref)()
	if old.Public != nil {
		return u.register(ctx, r, ref, s, old)
	}
	given, handed := u.given(s)
	var void []entra.ID
	var doubt time.Duration // how long to look for what may have been made
	if times := u.asked[s.Number]; len(times) > 1 {
		doubt = max(0, lag-u.o.Now().Sub(times[len(times)-2]))
	}
	began := u.asked[s.Number][len(u.asked[s.Number])-1].UTC().Truncate(time.Second)
	ends := old.Ends
	if !ends.After(u.o.Now()) {
		ends = u.o.Now().Add(lasts).UTC().Truncate(time.Second)
	}
	stray := func(c catalog.Credential) bool {
		return c.Property == old.Property && c.Name == old.Name && !slices.Contains(void, c.Key) && !u.handed(s, c.Key) &&
			slices.ContainsFunc(u.asked[s.Number], func(t time.Time) bool { return t.Truncate(time.Second).Equal(c.Began) })
	}
	for try := 0; ; try++ {
		o, err := u.read(ctx, r, ref, s, doubt, stray)
		if errors.Is(err, fs.ErrNotExist) {
			return Stale, "", fmt.Errorf("%w: %w", err, ErrStale)
		}
		if err != nil {
			return Failed, "", err
		}
		there := catalog.Credentials(o)
		if slices.ContainsFunc(there, func(c catalog.Credential) bool { return c.Key == old.Key }) {
			return AlreadyDone, old.Key, nil
		}
		if handed && slices.ContainsFunc(there, func(c catalog.Credential) bool { return c.Key == given }) {
			return AlreadyDone, given, nil
		}
		var lost []entra.ID
		for _, c := range there {
			if stray(c) {
				lost = append(lost, c.Key)
			}
		}
		if len(lost) > 0 {
			if err := u.withdraw(ctx, r, o, old.Property, lost); err != nil && (!errors.Is(err, graph.ErrUnknownOutcome) || try == 2) {
				return Failed, "", fmt.Errorf("a credential whose secret nobody knows is left: %w", err)
			} else if err != nil {
				doubt = 0
				continue
			}
			void = append(void, lost...)
		}
		made, err := u.make(ctx, r, o, old, began, ends, void)
		if err == nil {
			made.Step, made.Object, made.Old, made.Ends, made.Void = s, o, old, ends, void
			if err = u.o.Secrets.Give(made); err == nil {
				return Done, made.Key, nil
			}
			err = fmt.Errorf("the new secret could not be kept, so its credential was removed: %w", err)
			if e := u.retract(ctx, r, ref, old.Property, made.Key); e != nil {
				err = fmt.Errorf("%w: and it could not: %w: %w", err, e, graph.ErrUnknownOutcome)
			}
			return Failed, "", err
		}
		if !errors.Is(err, graph.ErrUnknownOutcome) || try == 2 {
			return Failed, "", err
		}
		doubt = lag
	}
}

// given returns the credential that was handed out for a step, by an earlier run too.
func (u *run) given(s plan.Step) (entra.ID, bool) {
	if u.o.Secrets == nil {
		return "", false
	}
	return u.o.Secrets.Given(s)
}

// register has an object have a certificate again that is told. Its private key is where it was.
func (u *run) register(ctx context.Context, r *catalog.Resource, ref entra.Ref, s plan.Step, old catalog.Credential) (Outcome, entra.ID, error) {
	o, err := u.read(ctx, r, ref, s, 0, func(catalog.Credential) bool { return false })
	if errors.Is(err, fs.ErrNotExist) {
		return Stale, "", fmt.Errorf("%w: %w", err, ErrStale)
	}
	if err != nil {
		return Failed, "", err
	}
	if key, ok := shows(o, old.Property, old.Public); ok {
		return AlreadyDone, key, nil
	}
	key, err := u.publish(ctx, r, o, old, o.Body.Decode(), old.Began, old.Ends, old.Public)
	if err != nil {
		return Failed, "", err
	}
	return Done, key, nil
}

// shows returns the ID under which an object has a certificate.
func shows(o entra.Object, property string, der []byte) (entra.ID, bool) {
	for _, c := range catalog.Credentials(o) {
		if c.Property == property && c.Mark == catalog.Mark(der) {
			return c.Key, true
		}
	}
	return "", false
}

// handed reports whether a key is that of a credential which another step of the plan made for the same object.
func (u *run) handed(s plan.Step, key entra.ID) bool {
	return slices.Contains(u.siblings(s), key)
}

// siblings returns the keys that other steps of the plan made for the object of a step.
func (u *run) siblings(s plan.Step) (keys []entra.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, other := range u.plan.Steps {
		if other.Action != plan.Issue || other.Ref != s.Ref || other.Number == s.Number {
			continue
		}
		if res, ok := u.results[other.Number]; ok && res.Outcome.holds() {
			keys = append(keys, res.ID)
		}
		if key, ok := u.given(other); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// read reads the object of a step once it shows what this plan has given it, and what may have been made for the step
// if that appears in time: what is sent whole must not leave out what a replica has not seen.
func (u *run) read(ctx context.Context, r *catalog.Resource, ref entra.Ref, s plan.Step, doubt time.Duration, stray func(catalog.Credential) bool) (entra.Object, error) {
	want := u.siblings(s)
	if key, ok := u.given(s); ok {
		want = append(want, key)
	}
	for waited, wait := time.Duration(0), time.Second; ; waited, wait = waited+wait, min(2*wait, 8*time.Second) {
		o, err := u.fetch(ctx, r, ref)
		if err != nil {
			return o, err
		}
		there := catalog.Credentials(o)
		whole := !slices.ContainsFunc(want, func(k entra.ID) bool {
			return !slices.ContainsFunc(there, func(c catalog.Credential) bool { return c.Key == k })
		})
		if (whole || waited >= lag) && (waited >= doubt || slices.ContainsFunc(there, stray)) {
			return o, nil
		}
		if err := pause(ctx, wait); err != nil {
			return o, err
		}
	}
}

// withdraw removes credentials of an object as it is now.
func (u *run) withdraw(ctx context.Context, r *catalog.Resource, o entra.Object, property string, keys []entra.ID) error {
	is := o.Body.Decode()
	calls, err := r.Update(o.Ref.ID, map[string]any{property: catalog.Without(is[property], keys...)}, is)
	if err != nil {
		return err
	}
	return u.all(ctx, r, []entra.Ref{o.Ref}, calls)
}

// retract removes a credential that was just made.
func (u *run) retract(ctx context.Context, r *catalog.Resource, ref entra.Ref, property string, key entra.ID) error {
	for waited, wait := time.Duration(0), time.Second; ; waited, wait = waited+wait, 2*wait {
		o, err := u.fetch(ctx, r, ref)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(catalog.Credentials(o), func(c catalog.Credential) bool { return c.Key == key }) {
			return u.withdraw(ctx, r, o, property, []entra.ID{key})
		}
		if waited >= lag {
			return fmt.Errorf("%s does not show credential %s", ref, key)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// make makes a credential and returns its key and its secret. void are those that were removed and may still show.
func (u *run) make(ctx context.Context, r *catalog.Resource, o entra.Object, old catalog.Credential, began, ends time.Time, void []entra.ID) (Issued, error) {
	is := o.Body.Decode()
	is[old.Property] = catalog.Without(is[old.Property], void...)
	if old.Certificate {
		return u.certify(ctx, r, o, old, is, began, ends)
	}
	c, err := r.Issue(o.Ref.ID, old, is, began, ends, nil)
	if err != nil {
		return Issued{}, err
	}
	var answer graph.Response
	err = u.patient(ctx, []entra.Ref{o.Ref}, func() (err error) {
		answer, err = u.call(ctx, c)
		return err
	})
	if err != nil {
		return Issued{}, err
	}
	key, secret, ok := catalog.Issued(answer.Body)
	if !ok {
		return Issued{}, fmt.Errorf("%w: %w", errUntold, graph.ErrUnknownOutcome)
	}
	return Issued{Key: key, Secret: secret}, nil
}

// certify makes a key pair and gives the service its public half.
func (u *run) certify(ctx context.Context, r *catalog.Resource, o entra.Object, old catalog.Credential, is map[string]any, began, ends time.Time) (Issued, error) {
	private, der, err := pair(catalog.Name(o), began, ends)
	if err != nil {
		return Issued{}, err
	}
	key, err := u.publish(ctx, r, o, old, is, began, ends, der)
	return Issued{Key: key, Secret: private}, err
}

// publish gives the service a certificate for an object, and returns the ID that it has there. Sent again it is the same, so
// a lost answer is followed by another attempt until the certificate shows.
func (u *run) publish(ctx context.Context, r *catalog.Resource, o entra.Object, old catalog.Credential, is map[string]any, began, ends time.Time, der []byte) (entra.ID, error) {
	c, err := r.Issue(o.Ref.ID, old, is, began, ends, der)
	if err != nil {
		return "", err
	}
	if err := u.all(ctx, r, []entra.Ref{o.Ref}, []catalog.Call{c}); err != nil && !errors.Is(err, graph.ErrUnknownOutcome) {
		return "", err
	}
	for waited, wait := time.Duration(0), time.Second; ; waited, wait = waited+wait, min(2*wait, 8*time.Second) {
		now, err := u.fetch(ctx, r, o.Ref)
		if err != nil {
			return "", err
		}
		if key, ok := shows(now, old.Property, der); ok {
			return key, nil
		}
		if waited >= lag {
			return "", fmt.Errorf("%s does not show its new certificate: %w", o.Ref, graph.ErrUnknownOutcome)
		}
		if err := pause(ctx, wait); err != nil {
			return "", err
		}
	}
}

// pair makes an RSA key with a certificate that it signs itself, and returns both as PEM and the certificate in DER.
func pair(name string, began, ends time.Time) (private string, certificate []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, keySize)
	if err != nil {
		return "", nil, fmt.Errorf("make a key: %w", err)
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", nil, fmt.Errorf("make a serial number: %w", err)
	}
	t := &x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: name}, NotBefore: began, NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return "", nil, fmt.Errorf("make a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, fmt.Errorf("encode a key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return string(append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)), der, nil
}
