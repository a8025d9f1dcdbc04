/** The state of the chain after a block, as far as the next block's validity depends on it. */
import {
  type BlockHeader,
  blockHash,
  type CommittedBlock,
  emptyCertificate,
  genesisHeader,
  type QuorumCertificate,
} from '../block/index.ts'
import { genesisLedger, type Ledger, ledgerRoot } from '../ledger/index.ts'
import type { Genesis, Validator } from '../params/index.ts'
import { validatorsAt } from '../validators/index.ts'

export interface ChainHead {
  readonly header: BlockHeader
  readonly hash: Uint8Array
  readonly ledger: Ledger
  /** What the EVM block of this height fixed for its child. */
  readonly evm: {
    readonly hash: Uint8Array
    readonly number: number
    readonly prevRandao: Uint8Array
    readonly gasLimit: number
  }
  /** Fee rates of the last headers, oldest first: `feeRatesKept` of core/validators says how many (4.5). */
  readonly feeRates: readonly number[]
}

/** The head that every chain starts from. */
export function genesisHead(genesis: Genesis): ChainHead {
  const ledger = genesisLedger(genesis)
  const header = genesisHeader(genesis, ledgerRoot(ledger))
  return {
    header,
    hash: blockHash(header),
    ledger,
    evm: {
      hash: genesis.execution.blockHash,
      number: 0,
      prevRandao: genesis.prevRandao,
      gasLimit: genesis.execution.gasLimit,
    },
    feeRates: [header.feeRateSatPerKvb],
  }
}

/**
 * The head after a stored block, from its ledger and the fee rates of the headers up to it. The caller loaded what it had
 * persisted; nothing is checked again.
 */
export function headFromStored(
  committed: CommittedBlock,
  ledger: Ledger,
  feeRates: readonly number[],
): ChainHead {
  const { header, body } = committed.block
  return {
    header,
    hash: blockHash(header),
    ledger,
    evm: {
      hash: header.evmBlockHash,
      number: body.payload.blockNumber,
      prevRandao: body.payload.prevRandao,
      gasLimit: body.payload.gasLimit,
    },
    feeRates,
  }
}

/** The validators of the block after `head`. */
export function validatorsAfter({ header, ledger }: ChainHead): readonly Validator[] {
  return validatorsAt(ledger, header.height + 1)
}

/** The certificate that block 1 carries for the genesis block: none. */
export const GENESIS_CERTIFICATE: QuorumCertificate = emptyCertificate()
