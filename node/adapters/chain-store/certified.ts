/** Header and certificate of a stored block, whether or not its body was pruned (PR-1). */
import type { ChainStore } from '../../../actors/storage/index.ts'
import {
  type BlockHeader,
  decodeCertified,
  decodeCommittedBlock,
  type QuorumCertificate,
} from '../../../core/block/index.ts'

/** Undefined where nothing is kept; throws at what does not decode. */
export function certifiedAt(
  store: Pick<ChainStore, 'readBlock' | 'readHeader'>,
  height: number,
): { readonly header: BlockHeader; readonly certificate: QuorumCertificate } | undefined {
  const whole = store.readBlock(height)
  if (whole !== undefined) {
    const committed = decodeCommittedBlock(whole.bytes)
    if (!committed.ok) throw new Error(`block ${height}: ${committed.error.reason}`)
    return { header: committed.value.block.header, certificate: committed.value.certificate }
  }
  const left = store.readHeader(height)
  const certified = left && decodeCertified(left.bytes)
  if (certified?.ok === false) throw new Error(`block ${height}: ${certified.error.reason}`)
  return certified?.value
}
