import type { Client } from 'pg'

/** A number with what it is a number of. */
export interface Reading {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The standard error, or half the spread. */
  readonly uncertainty: number
  readonly goal?: string
  readonly met?: boolean
  /** What the value is made of, line by line. */
  readonly details?: readonly string[]
}

export interface ProbeResult {
  readonly probe: string
  readonly title: string
  readonly readings: readonly Reading[]
}

export interface ProbePlace {
  readonly url: string
  readonly observer: Client
  /** For those that run many. */
  readonly transactions: number
  /** Whether functions are to be listed with how often they are called. */
  readonly listsCalls: boolean
  /** How many fresh processes measure each. */
  readonly processes: number
  /** Whether this is a smoke test. */
  readonly quick: boolean
  /** The source of the bridge that this one is compared with. */
  readonly against?: string
}

/** Something that is not measured in time by rounds in this process. */
export interface Probe {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  read(place: ProbePlace): Promise<readonly Reading[]>
}
