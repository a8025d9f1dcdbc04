import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { POINT_EVALUATION } from '../../../../vm/evm/kzg.ts'

/** KZG proofs of the consensus specs, as the state tests of EIP-4844 carry them. */
const VECTORS =
  process.env['VECTORS_DIR'] ??
  fileURLToPath(new URL('../../../../../shared/vectors', import.meta.url))
const file = join(
  VECTORS,
  'ethereum-tests/GeneralStateTests/Pyspecs/cancun/eip4844_blobs',
  'point_evaluation_precompile_external_vectors.json',
)

type Vector = { readonly transaction: { readonly data: readonly string[] } }

const vectors: Record<string, Vector> = existsSync(file)
  ? JSON.parse(readFileSync(file, 'utf8'))
  : {}
const cases = Object.entries(vectors).map(([name, { transaction }]) => {
  return [name.replace(/.*_case_|\]$/g, ''), transaction.data[0] ?? ''] as const
})
const describeVectors = cases.length === 0 ? describe.skip : describe

const INPUT_BYTES = 192

function verdict(input: string): 'correct' | 'incorrect' | 'invalid' {
  if (input.length !== 2 + 2 * INPUT_BYTES) return 'invalid'
  const part = (from: number, to: number) => `0x${input.slice(2 + from * 2, 2 + to * 2)}`
  try {
    const [z, y] = [part(32, 64), part(64, 96)]
    const isValid = POINT_EVALUATION.verifyProof(part(96, 144), z, y, part(144, 192))
    return isValid ? 'correct' : 'incorrect'
  } catch (cause) {
    expect(String(cause)).toContain('C_KZG_BADARGS')
    return 'invalid'
  }
}

describeVectors('point evaluation (EIP-4844)', () => {
  it.each(cases.length === 0 ? [['no vectors', '']] : cases)('%s', (name, input) => {
    expect(verdict(input)).toBe(name.split('_')[0])
  })
})
