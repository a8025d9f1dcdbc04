/** Authentication of the Engine API: HS256 over the secret that both sides hold; only the time of issue is claimed. */
import { createHmac } from 'node:crypto'
import { fromHex } from '../../../crypto/index.ts'

const SECRET_BYTES = 32
const HEADER = encode({ alg: 'HS256', typ: 'JWT' })

/** The secret as its file has it: 64 hex digits, 0x before them or not. */
export function readJwtSecret(text: string): Uint8Array | undefined {
  const secret = fromHex(text.trim().replace(/^0x/, ''))
  return secret?.length === SECRET_BYTES ? secret : undefined
}

/** Good for 60 s around `nowMs` by the other side's clock, so that each call has one of its own. */
export function jwtOf(secret: Uint8Array, nowMs: number): string {
  const signed = `${HEADER}.${encode({ iat: Math.floor(nowMs / 1_000) })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
