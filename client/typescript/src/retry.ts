/** Sends failed calls again, as the server says in RetryInfo. */
import { Code, type Transport } from "@connectrpc/connect";
import { asGlimpseError, type GlimpseError } from "./errors.js";

/** When a failed call is sent again. */
export interface Retry {
  /** Most attempts for calls that no server answers. 1 turns all retries off. */
  attempts: number;
  /** The first pause in milliseconds; it doubles with each attempt. */
  initialMs: number;
  /** The longest pause in milliseconds. */
  maximumMs: number;
}

/** About half a minute, in which a server can stop and start. */
export const DEFAULT_RETRY: Retry = { attempts: 25, initialMs: 100, maximumMs: 2_000 };

/** Returns the milliseconds to wait after attempt number `attempt`, from 1; undefined to give up. */
export function pause(retry: Retry, error: GlimpseError, attempt: number): number | undefined {
  if (retry.attempts <= 1) return undefined;
  if (error.code === Code.ResourceExhausted && error.retryDelayMs !== undefined) {
    return error.retryDelayMs * (1 + 0.2 * Math.random()); // so that callers do not all return at once
  }
  if (error.code !== Code.Unavailable || attempt >= retry.attempts) return undefined;
  const longest = Math.min(retry.maximumMs, retry.initialMs * 2 ** (attempt - 1));
  return Math.max(error.retryDelayMs ?? 0, longest * (0.5 + 0.5 * Math.random()));
}

/**
 * Returns a transport that sends calls again, and throws a GlimpseError at last.
 *
 * `timeoutMs` is the time for all attempts of a call that sets none itself.
 */
export function withRetries(transport: Transport, retry: Retry, timeoutMs: number): Transport {
  return {
    stream: transport.stream,
    async unary(method, signal, ownTimeoutMs, ...rest) {
      const end = performance.now() + (ownTimeoutMs ?? timeoutMs);
      for (let attempt = 1; ; attempt++) {
        try {
          return await transport.unary(method, signal, Math.max(1, Math.ceil(end - performance.now())), ...rest);
        } catch (reason) {
          const error = asGlimpseError(reason, attempt);
          const wait = pause(retry, error, attempt);
          if (wait === undefined || performance.now() + wait >= end || !(await slept(wait, signal))) throw error;
        }
      }
    },
  };
}

/** Waits; returns false if the signal is aborted before. */
function slept(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (complete: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      resolve(complete);
    };
    const stop = () => finish(false);
    const timer = setTimeout(() => finish(true), milliseconds);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
  });
}
