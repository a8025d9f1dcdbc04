/**
 * Who may talk to the API: which host names it answers to (a page that rebinds its own name to loopback sends its
 * own Host), which web origins, and who is an admin.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

/** Pages on this machine and browser extensions, which are wallets. */
const LOCAL_ORIGIN =
  /^https?:\/\/(?:localhost|[a-z0-9-]+\.localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/
const EXTENSION_ORIGIN = /^(?:chrome|moz|safari-web)-extension:\/\/[a-z0-9-]+$/i

export interface GuardOptions {
  /** Further origins; `*` is any. */
  readonly corsOrigins: readonly string[]
  /** Further host names. */
  readonly allowedHosts: readonly string[]
  readonly adminToken: string | undefined
}

export function isHostAllowed(host: string | undefined, options: GuardOptions): boolean {
  if (host === undefined) return true
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  return (
    isIP(name) !== 0 ||
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    options.allowedHosts.includes(name)
  )
}

/** No origin: not a web page. The node's own page has the origin that it was asked under. */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  options: GuardOptions,
): boolean {
  if (origin === undefined) return true
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) {
    return true
  }
  return (
    LOCAL_ORIGIN.test(origin) ||
    EXTENSION_ORIGIN.test(origin) ||
    options.corsOrigins.includes('*') ||
    options.corsOrigins.includes(origin)
  )
}

/** `Bearer token`, or Basic with the token as the password, as mining pools send it. */
export function isAdmin(authorization: string | undefined, options: GuardOptions): boolean {
  const { adminToken } = options
  if (adminToken === undefined || authorization === undefined) return false
  const [scheme, value = ''] = authorization.split(' ', 2)
  if (scheme?.toLowerCase() === 'bearer') return sameSecret(value, adminToken)
  if (scheme?.toLowerCase() !== 'basic') return false
  const text = Buffer.from(value, 'base64').toString('utf8')
  return sameSecret(text.slice(text.indexOf(':') + 1), adminToken)
}

function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
