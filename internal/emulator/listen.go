package emulator

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// keys are the tenant's own: of its certificate authority, of its token
// issuer and of its two applications.
type keys struct {
	ca     []byte
	server tls.Certificate
	issuer *ecdsa.PrivateKey

	ready chan struct{} // closed when what follows is made
	pem   [2][]byte
	certs [2]*x509.Certificate
}

func (k *keys) wait() { <-k.ready }

// Certificates are valid from 2000 to 2099: they must hold at the reader's
// time, whatever the virtual clock says.
func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), BasicConstraintsValid: true}
}

func makeKeys(host string) (*keys, error) {
	k := &keys{ready: make(chan struct{})}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := template(1, "Made-up tenant authority")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	k.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	server := template(2, "Made-up tenant")
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{"localhost"}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if ip := net.ParseIP(host); ip != nil {
		server.IPAddresses = append(server.IPAddresses, ip)
	} else if host != "" {
		server.DNSNames = append(server.DNSNames, host)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, server, ca, &serverKey.PublicKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("make server certificate: %w", err)
	}
	k.server = tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: serverKey}
	if k.issuer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	// RSA keys take their time; nobody may need them.
	go func() {
		defer close(k.ready)
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return
		}
		for i, name := range []string{"capture", "restore"} {
			c := template(int64(10+i), name)
			der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
			if err != nil {
				return
			}
			if k.certs[i], err = x509.ParseCertificate(der); err != nil {
				return
			}
			k.pem[i] = append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
	}()
	return k, nil
}

func (t *Tenant) listen() error {
	l, err := net.Listen("tcp", t.o.Addr)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(t.o.Addr)
	if err != nil {
		l.Close()
		return err
	}
	if t.keys, err = makeKeys(host); err != nil {
		l.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.listener = l
	t.server = &http.Server{Handler: t, TLSConfig: &tls.Config{Certificates: []tls.Certificate{t.keys.server}, MinVersion: tls.VersionTLS12},
		ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(t.done)
		_ = t.server.ServeTLS(l, "", "") // always ErrServerClosed after Close
	}()
	return nil
}

const bodyLimit = 4 << 20

// targetMost is how long the target of a request may be. The service states no limit; a server has to take 8,000
// octets (RFC 9110, 4.1), so no client may count on more. Inside a batch a target can be of any length.
const targetMost = 8000

// ServeHTTP answers one request, as over the network: for a client in the same process that needs no listener.
func (t *Tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return
	}
	auth := !strings.HasPrefix(target, "/v1.0/") && !strings.HasPrefix(target, "/beta/")
	c := &call{t: t, method: r.Method, header: r.Header, body: body}
	c.header.Set("request-id", t.requestID())
	if c.header.Get("client-request-id") == "" {
		c.header.Set("client-request-id", c.header.Get("request-id"))
	}
	var a answer
	drop, status := false, 0
	if auth {
		a, drop = t.injected(r.Context(), r.Method, target, 0, func() answer { return t.authority(c, target) })
	} else {
		c.setTarget(target)
		a, drop = t.injected(r.Context(), r.Method, target, c.pageOf(), func() answer {
			if len(target) > targetMost {
				return c.refused(refuse(http.StatusRequestURITooLong, "RequestUriTooLong", "The request URI is too long."))
			}
			return c.outside(len(body) > bodyLimit)
		})
	}
	if !drop {
		status = a.status
	}
	t.received.add(Request{Method: r.Method, Path: target, Status: status, At: t.Now(), Write: !auth && c.isWrite()})
	if drop {
		panic(http.ErrAbortHandler) // the server drops the connection
	}
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h.Set("Date", t.Now().Format(http.TimeFormat))
	h.Set("request-id", c.header.Get("request-id"))
	h.Set("client-request-id", c.header.Get("client-request-id"))
	h.Set("Strict-Transport-Security", "max-age=31536000")
	if !auth {
		h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Nowhere","Slice":"E","Ring":"3","ScaleUnit":"003","RoleInstance":"MADEUP0001"}}`)
		h.Set("x-ms-resource-unit", itoa(c.cost()))
		if len(a.body) > 0 {
			h.Set("OData-Version", "4.0")
			h.Set("Cache-Control", "no-cache")
		}
	}
	if len(a.body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	}
	out := a.body
	if len(out) > 2048 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var z bytes.Buffer
		g := zippers.Get().(*gzip.Writer)
		g.Reset(&z)
		_, _ = g.Write(out) // into memory
		_ = g.Close()
		zippers.Put(g)
		out = z.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", itoa(len(out)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(out) // the client may be gone
}

// zippers are at rest. One is a megabyte, and every page wants one.
var zippers = sync.Pool{New: func() any {
	g, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return g
}}

func (t *Tenant) requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return guidText(b)
}

// outside serves a call that came over HTTP: token, quota, then the call.
func (c *call) outside(tooLarge bool) answer {
	if err := c.authenticate(); err != nil {
		return c.refused(err)
	}
	if tooLarge {
		return c.refused(refuse(413, "RequestEntityTooLarge", "The request body is too large."))
	}
	return c.limited()
}

// limited applies the quotas to a call or an item of a batch.
func (c *call) limited() answer {
	if err := c.t.limits.take(c); err != nil {
		return c.refused(err)
	}
	a := c.serve()
	if p := c.t.limits.percentage(c); p != "" {
		a.set("x-ms-throttle-limit-percentage", p)
	}
	return a
}
