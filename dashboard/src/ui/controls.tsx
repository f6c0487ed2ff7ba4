/** Buttons, fields and menus: React Aria's behaviour with our styles. */

import { Check, ChevronDown, ChevronsUpDown, Copy, Ellipsis, Search, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import * as Aria from "react-aria-components";

type Look = "plain" | "primary" | "danger" | "quiet";

interface ButtonProps extends Omit<Aria.ButtonProps, "className" | "children"> {
  look?: Look;
  icon?: ReactNode;
  children?: ReactNode;
}

export function Button({ look = "plain", icon, children, ...rest }: ButtonProps) {
  return (
    <Aria.Button {...rest} className={`button ${look}`}>
      {icon}
      {children !== undefined && <span>{children}</span>}
      {/* Screen readers announce it while it waits. */}
      {rest.isPending && (
        <Aria.ProgressBar aria-label="Working" isIndeterminate className="hidden-visually" />
      )}
    </Aria.Button>
  );
}

/** A button with only an icon; its name appears on hover and focus, and screen readers read it. */
export function IconButton({
  label,
  icon,
  look = "quiet",
  ...rest
}: Omit<ButtonProps, "children" | "aria-label"> & { label: string }) {
  return (
    <Hint text={label}>
      <Aria.Button {...rest} aria-label={label} className={`button icon ${look}`}>
        {icon}
      </Aria.Button>
    </Hint>
  );
}

/** A tooltip for a focusable element. */
export function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <Aria.TooltipTrigger delay={500} closeDelay={60}>
      {children}
      <Aria.Tooltip className="tooltip" offset={6}>
        {text}
      </Aria.Tooltip>
    </Aria.TooltipTrigger>
  );
}

interface FieldProps {
  label: string;
  hideLabel?: boolean;
  description?: ReactNode;
  error?: string | undefined;
}

function Frame({ label, hideLabel, description, error, children }: FieldProps & { children: ReactNode }) {
  return (
    <>
      <Aria.Label className={hideLabel ? "hidden-visually" : "label"}>{label}</Aria.Label>
      {children}
      {description && (
        <Aria.Text slot="description" className="description">
          {description}
        </Aria.Text>
      )}
      <Aria.FieldError className="field-error">{error}</Aria.FieldError>
    </>
  );
}

interface TextFieldProps extends FieldProps, Omit<Aria.TextFieldProps, "className" | "children"> {
  placeholder?: string | undefined;
  rows?: number;
  mono?: boolean;
}

export function TextField({
  label,
  hideLabel,
  description,
  error,
  placeholder,
  rows,
  mono,
  ...rest
}: TextFieldProps) {
  const className = `input${mono ? " mono" : ""}`;
  return (
    <Aria.TextField {...rest} isInvalid={error !== undefined || rest.isInvalid} className="field">
      <Frame {...{ label, hideLabel, description, error }}>
        {rows ? (
          <Aria.TextArea className={className} rows={rows} placeholder={placeholder} spellCheck={false} />
        ) : (
          <Aria.Input className={className} placeholder={placeholder} />
        )}
      </Frame>
    </Aria.TextField>
  );
}

/** A search field: applies the text after a short delay, or at once on Enter. */
export function SearchField({
  label,
  value,
  onChange,
  wait = 250,
  placeholder,
  mono,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  wait?: number;
  placeholder?: string;
  mono?: boolean;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), wait);
    return () => clearTimeout(timer);
  }, [text, value, onChange, wait]);
  return (
    <Aria.SearchField
      aria-label={label}
      value={text}
      onChange={setText}
      onSubmit={onChange}
      onClear={() => onChange("")}
      className="field search"
    >
      <Search aria-hidden size={14} />
      <Aria.Input className={`input${mono ? " mono" : ""}`} placeholder={placeholder ?? label} />
      {text && (
        <Aria.Button className="button icon quiet">
          <X aria-hidden size={14} />
        </Aria.Button>
      )}
    </Aria.SearchField>
  );
}

export interface Option<T extends string = string> {
  id: T;
  text: string;
  description?: ReactNode;
}

interface SelectProps<T extends string> extends FieldProps {
  value: T | null;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
  isDisabled?: boolean;
  placeholder?: string;
  quiet?: boolean;
}

export function Select<T extends string>({
  label,
  hideLabel,
  description,
  error,
  value,
  options,
  onChange,
  isDisabled,
  placeholder,
  quiet,
}: SelectProps<T>) {
  return (
    <Aria.Select
      className="field"
      selectedKey={value}
      onSelectionChange={(key) => key !== null && onChange(key as T)}
      isDisabled={isDisabled}
      isInvalid={error !== undefined}
      placeholder={placeholder ?? "Choose…"}
    >
      <Frame {...{ label, hideLabel, description, error }}>
        <Aria.Button className={`input select${quiet ? " quiet" : ""}`}>
          <Aria.SelectValue className="clip">
            {({ selectedText, defaultChildren }) => selectedText || defaultChildren}
          </Aria.SelectValue>
          {quiet ? <ChevronsUpDown aria-hidden size={14} /> : <ChevronDown aria-hidden size={14} />}
        </Aria.Button>
      </Frame>
      <Aria.Popover className="popover list" offset={4}>
        <Aria.ListBox className="options" items={options}>
          {(option) => (
            <Aria.ListBoxItem id={option.id} textValue={option.text} className="option">
              {({ isSelected }) => (
                <>
                  <span className="tick">{isSelected && <Check aria-hidden size={14} />}</span>
                  <span className="grow">
                    <Aria.Text slot="label">{option.text}</Aria.Text>
                    {option.description && (
                      <Aria.Text slot="description" className="description">
                        {option.description}
                      </Aria.Text>
                    )}
                  </span>
                </>
              )}
            </Aria.ListBoxItem>
          )}
        </Aria.ListBox>
      </Aria.Popover>
    </Aria.Select>
  );
}

const ANY = "*";

/** A `Select` for a filter: its first option selects everything. */
export function Filter<T extends string>({
  label,
  all,
  value,
  options,
  onChange,
}: {
  label: string;
  all: string;
  value: T | undefined;
  options: readonly (T | Option<T>)[];
  onChange: (value: T | null) => void;
}) {
  const known = options.map(
    (option): Option => (typeof option === "string" ? { id: option, text: option } : option),
  );
  // A shared URL may hold a value that is unknown here.
  const missing: Option[] =
    value && !known.some(({ id }) => id === value) ? [{ id: value, text: value }] : [];
  return (
    <Select
      label={label}
      hideLabel
      value={value ?? ANY}
      options={[{ id: ANY, text: all }, ...known, ...missing]}
      onChange={(id) => onChange(id === ANY ? null : (id as T))}
    />
  );
}

export function Checkbox({
  children,
  ...rest
}: Omit<Aria.CheckboxProps, "className" | "children"> & { children: ReactNode }) {
  return (
    <Aria.Checkbox {...rest} className="checkbox">
      <span className="box" aria-hidden>
        <Check size={12} strokeWidth={3} />
      </span>
      {children}
    </Aria.Checkbox>
  );
}

/** A choice between a few words. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
}) {
  return (
    <Aria.ToggleButtonGroup
      aria-label={label}
      className="segments"
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[value]}
      onSelectionChange={(keys) => {
        const [key] = keys;
        if (key !== undefined) onChange(key as T);
      }}
    >
      {options.map(({ id, text }) => (
        <Aria.ToggleButton key={id} id={id} className="segment">
          {text}
        </Aria.ToggleButton>
      ))}
    </Aria.ToggleButtonGroup>
  );
}

export interface MenuAction {
  id: string;
  text: string;
  icon?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  onAction: () => void;
}

export function Menu({
  label,
  actions,
  trigger,
}: {
  label: string;
  actions: MenuAction[];
  trigger?: ReactNode;
}) {
  return (
    <Aria.MenuTrigger>
      {trigger ?? (
        <Aria.Button aria-label={label} className="button icon quiet">
          <Ellipsis aria-hidden size={16} />
        </Aria.Button>
      )}
      <Aria.Popover className="popover list" offset={4}>
        <Aria.Menu
          className="options"
          disabledKeys={actions.filter((one) => one.disabled).map((one) => one.id)}
          aria-label={label}
        >
          {actions.map((action) => (
            <Aria.MenuItem
              key={action.id}
              id={action.id}
              onAction={action.onAction}
              textValue={action.text}
              className={`option${action.danger ? " danger" : ""}`}
            >
              {action.icon}
              {action.text}
            </Aria.MenuItem>
          ))}
        </Aria.Menu>
      </Aria.Popover>
    </Aria.MenuTrigger>
  );
}

/** A button that copies a text and announces it. */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <>
      <IconButton
        label={copied ? "Copied" : label}
        icon={copied ? <Check aria-hidden size={14} /> : <Copy aria-hidden size={14} />}
        onPress={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
      />
      <span role="status" className="hidden-visually">
        {copied && "Copied"}
      </span>
    </>
  );
}
