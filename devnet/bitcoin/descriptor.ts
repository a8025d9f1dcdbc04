/** The checksum of output descriptors (BIP380). */

const INPUT_CHARSET =
  '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
const CHECKSUM_CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn]

function polymod(checksum: bigint, value: number): bigint {
  const top = checksum >> 35n
  const next = ((checksum & 0x7ffffffffn) << 5n) ^ BigInt(value)
  return GENERATOR.reduce(
    (sum, generator, bit) => (((top >> BigInt(bit)) & 1n) === 1n ? sum ^ generator : sum),
    next,
  )
}

/** `body#checksum`; a body with characters outside the descriptor alphabet gets none. */
export function addChecksum(body: string): string {
  let checksum = 1n
  let group = 0
  let count = 0
  for (const character of body) {
    const position = INPUT_CHARSET.indexOf(character)
    if (position < 0) return body
    checksum = polymod(checksum, position & 31)
    group = group * 3 + (position >> 5)
    count += 1
    if (count === 3) {
      checksum = polymod(checksum, group)
      group = 0
      count = 0
    }
  }
  if (count > 0) checksum = polymod(checksum, group)
  for (let i = 0; i < 8; i++) checksum = polymod(checksum, 0)
  checksum ^= 1n
  let text = ''
  for (let i = 0; i < 8; i++) {
    text += CHECKSUM_CHARSET[Number((checksum >> BigInt(5 * (7 - i))) & 31n)]
  }
  return `${body}#${text}`
}
