/**
 * The units of the chain as flavoured types: a plain bigint or number fits each of them, but one unit does not
 * fit another. 1 sat = 10 gwei = 10^10 wei (C-1); a conversion with a remainder is an error.
 */
type Flavor<T, Name extends string> = T & { readonly __unit?: Name }

export type Sat = Flavor<bigint, 'sat'>
export type Gwei = Flavor<bigint, 'gwei'>
export type Wei = Flavor<bigint, 'wei'>
export type Slot = Flavor<number, 'slot'>
export type Height = Flavor<number, 'height'>
export type View = Flavor<number, 'view'>
/** Milliseconds since the Unix epoch. */
export type Millis = Flavor<number, 'ms'>
export type Hash32 = Flavor<Uint8Array, 'hash32'>
/** A 20-byte EVM address. */
export type Address = Flavor<Uint8Array, 'address'>

export const GWEI_PER_SAT = 10n
export const WEI_PER_GWEI = 1_000_000_000n
export const WEI_PER_SAT = GWEI_PER_SAT * WEI_PER_GWEI

export function gweiFromSat(amountSat: Sat): Gwei {
  return (amountSat as bigint) * GWEI_PER_SAT
}

export function weiFromSat(amountSat: Sat): Wei {
  return (amountSat as bigint) * WEI_PER_SAT
}

/** Whole satoshi of an amount in wei; undefined when there is a remainder. */
export function satFromWei(amountWei: Wei): Sat | undefined {
  const wei = amountWei as bigint
  return wei % WEI_PER_SAT === 0n ? wei / WEI_PER_SAT : undefined
}
