/** Header and certificate of a stored block, whether or not its body was pruned (PR-1). */
import { type ChainStore, STORAGE_FAULTS } from '../../../actors/storage/index.ts'
import {
  type BlockHeader,
  decodeCertified,
  decodeCommittedBlock,
  type QuorumCertificate,
} from '../../../core/block/index.ts'
import { faultError } from '../../../supervisor/index.ts'

/** Undefined where nothing is kept; throws `StoreDamaged` at what does not decode, which no checksum shows of what somebody else wrote. */
export function certifiedAt(
  store: Pick<ChainStore, 'readBlock' | 'readHeader'>,
  height: number,
): { readonly header: BlockHeader; readonly certificate: QuorumCertificate } | undefined {
  const whole = store.readBlock(height)
  if (whole !== undefined) {
    const committed = decodeCommittedBlock(whole.bytes)
    if (!committed.ok) throw undecoded(height, committed.error.reason)
    return { header: committed.value.block.header, certificate: committed.value.certificate }
  }
  const left = store.readHeader(height)
  const certified = left && decodeCertified(left.bytes)
  if (certified?.ok === false) throw undecoded(height, certified.error.reason)
  return certified?.value
}

function undecoded(height: number, reason: string): Error {
  return faultError('StoreDamaged', STORAGE_FAULTS.StoreDamaged, `block ${height}: ${reason}`)
}
