/**
 * TLS identities for the governance stream: a private authority and the certificates it issues, ECDSA P-256 (RFC 5280).
 * The common name says who holds a certificate (`node-0`, `member-3`); its SHA-256 fingerprint is what the
 * other side's configuration may pin. Nothing here protects coins: it only says who is on the line.
 */
// The x509 package needs Reflect's metadata functions when it is loaded.
import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface IdentityFiles {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

export interface IssueOptions {
  /** Common name, also a DNS name of the certificate. */
  readonly name: string
  /** Further DNS names and IP addresses, for servers. */
  readonly hosts?: readonly string[]
  readonly nowMs: number
  readonly validDays: number
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
/** Clocks of the two sides may differ. */
const BACKDATE_MS = 3_600_000

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  // Positive and without leading zeros, as RFC 5280 §4.1.2.2 wants it.
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

async function pemOfPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key)
  return x509.PemConverter.encode(der, 'PRIVATE KEY')
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

/** A self-signed authority. */
export async function createAuthority(options: IssueOptions): Promise<IdentityFiles> {
  const keys = await makeKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${options.name}`,
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + options.validDays * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: `${await pemOfPrivateKey(keys.privateKey)}\n`,
  }
}

/** A certificate of that authority for a server and client in one. */
export async function issueCertificate(
  authority: IdentityFiles,
  options: IssueOptions,
): Promise<IdentityFiles> {
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.privateKeyPem),
    ALGORITHM,
    false,
    ['sign'],
  )
  const keys = await makeKeys()
  const hosts = [options.name, ...(options.hosts ?? [])]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${options.name}`,
    issuer: issuer.subject,
    notBefore: new Date(options.nowMs - BACKDATE_MS),
    notAfter: new Date(options.nowMs + options.validDays * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.clientAuth,
        x509.ExtendedKeyUsage.serverAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIpAddress(value) ? 'ip' : 'dns', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: `${await pemOfPrivateKey(keys.privateKey)}\n`,
  }
}

function isIpAddress(host: string): boolean {
  return /^[0-9.]+$/.test(host) || host.includes(':')
}

/** SHA-256 of the certificate's DER bytes, lower-case hex. Throws on what is no certificate. */
export function certificateFingerprint(certificatePem: string): string {
  return normalizeFingerprint(new X509Certificate(certificatePem).fingerprint256)
}

/** Lower-case hex without colons. */
export function normalizeFingerprint(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}
