/** The ledger identity (protocol §4.7; PO-18): reserve = supply + in flight, every term a sum over rows. */
import type { Ledger, LedgerDraft } from '../ledger/index.ts'
import { fault, type PegError } from './errors.ts'

/** What has the totals: a ledger, or one that is being made. */
type Books = Pick<Ledger | LedgerDraft, 'state'>

/** Minted less burned, the fee pool included. */
export function supplySat(ledger: Books): bigint {
  return ledger.state.mintedSat - ledger.state.burnedSat
}

/** Credited and not minted, burned and not paid, refunds owed and the fund, less what is missing. */
export function inFlightSat(ledger: Books): bigint {
  const { creditedSat, deficitSat, fundSat, refundsSat, unpaidSat } = ledger.state
  return creditedSat + unpaidSat + refundsSat + fundSat - deficitSat
}

/** What breaks the identity; undefined when it holds. */
export function checkIdentity(ledger: Books): PegError | undefined {
  const { reserveSat } = ledger.state
  const supply = supplySat(ledger)
  const inFlight = inFlightSat(ledger)
  return supply >= 0n && reserveSat === supply + inFlight
    ? undefined
    : fault('IdentityBroken', `reserve ${reserveSat}, supply ${supply}, in flight ${inFlight}`)
}
