/** The states of a page: failed, empty, loading. */

import { CircleAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Refused } from "../api/client";
import type { Problem } from "../api/schema";
import { Button } from "./controls";
import { Prose } from "./text";

/** An error of the API with its hint. */
export function Failure({ error, retry }: { error: Refused; retry?: () => void }) {
  return (
    <div role="alert" className="notice bad">
      <CircleAlert aria-hidden size={16} />
      <div className="grow">
        <p className="message">
          <Prose text={sentence(error.message)} />
        </p>
        {error.hint && (
          <p className="hint">
            Hint: <Prose text={error.hint} />
          </p>
        )}
        {error.problems.length > 0 && <Problems problems={error.problems} />}
      </div>
      {retry && <Button onPress={retry}>Try again</Button>}
    </div>
  );
}

/** The problems of a package as in `krt check`: file, line, message and hint. */
export function Problems({ problems }: { problems: readonly Problem[] }) {
  return (
    <ol className="problems">
      {problems.map((problem) => (
        <li key={JSON.stringify(problem)} className={problem.severity}>
          {problem.severity === "error" ? (
            <CircleAlert aria-hidden size={14} />
          ) : (
            <TriangleAlert aria-hidden size={14} />
          )}
          <div className="grow">
            <p>
              <span className="severity">{problem.severity}</span>{" "}
              <code>{[problem.file, problem.line, problem.column].filter(Boolean).join(":")}</code>
            </p>
            <p>
              <Prose text={problem.message} />
            </p>
            {problem.hint && (
              <p className="hint">
                hint: <Prose text={problem.hint} />
              </p>
            )}
          </div>
        </li>
      ))}
    </ol>
  );
}

export function Warning({ children }: { children: ReactNode }) {
  return (
    <div className="notice warn">
      <TriangleAlert aria-hidden size={16} />
      <div className="grow">{children}</div>
    </div>
  );
}

export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className="empty">
      {icon}
      <h2>{title}</h2>
      {children && <div className="muted">{children}</div>}
    </div>
  );
}

/** A placeholder of fixed height, visible only after a delay. */
export function Waiting({ height = 240, label = "Loading" }: { height?: number; label?: string }) {
  return (
    <div className="waiting" style={{ height }} role="status">
      <span className="hidden-visually">{label}</span>
    </div>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
