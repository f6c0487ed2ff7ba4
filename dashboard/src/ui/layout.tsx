/** The frame of a page: title, tabs, panels and tables. */

import { type ReactNode, useEffect } from "react";
import { NavLink } from "react-router";
import { visible } from "../visible/text";

export function usePageTitle(...parts: (string | undefined)[]) {
  const title = [...parts.filter(Boolean), "krt"].join(" · ");
  useEffect(() => {
    document.title = visible(title);
  }, [title]);
}

export function PageHeader({
  title,
  above,
  below,
  children,
}: {
  title: ReactNode;
  above?: ReactNode;
  below?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <header className="page-header">
      <div className="grow">
        {above && <div className="above">{above}</div>}
        <h1>{title}</h1>
        {below && <div className="below">{below}</div>}
      </div>
      {children && <div className="row wrap actions">{children}</div>}
    </header>
  );
}

export function Tabs({
  label,
  tabs,
}: {
  label: string;
  tabs: { to: string; text: ReactNode; end?: boolean }[];
}) {
  return (
    <nav aria-label={label} className="tabs">
      {tabs.map(({ to, text, end }) => (
        <NavLink key={to} to={to} end={end ?? false} replace>
          {text}
        </NavLink>
      ))}
    </nav>
  );
}

export function Panel({
  title,
  actions,
  children,
  flush,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}) {
  return (
    <section className="panel">
      {(title || actions) && (
        <header className="row">
          <h2 className="grow">{title}</h2>
          {actions}
        </header>
      )}
      <div className={flush ? "flush" : "content"}>{children}</div>
    </section>
  );
}

export interface Column<T> {
  title: ReactNode;
  cell: (item: T) => ReactNode;
  /** Aligns numbers to the right. */
  end?: boolean;
  /** Hidden first in a narrow space. */
  spare?: boolean;
  shrink?: boolean;
}

export function Table<T>({
  label,
  columns,
  items,
  id,
}: {
  label: string;
  columns: Column<T>[];
  items: readonly T[];
  id: (item: T) => string;
}) {
  const className = ({ end, spare, shrink }: Column<T>) =>
    [end && "end", spare && "spare", shrink && "shrink"].filter(Boolean).join(" ") || undefined;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
    <section className="table" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns never change places
              <th key={i} scope="col" className={className(column)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={id(item)}>
              {columns.map((column, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns never change places
                <td key={i} className={className(column)}>
                  {column.cell(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Figures in a row, such as accuracy and count. */
export function Figures({
  items,
}: {
  items: { label: string; value: ReactNode; tone?: "good" | "warn" | "bad" }[];
}) {
  return (
    <dl className="figures">
      {items.map(({ label, value, tone }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd className={`number ${tone ?? ""}`}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
